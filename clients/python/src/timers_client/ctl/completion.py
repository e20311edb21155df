"""Shell completions, generated from the parser."""

from __future__ import annotations

from collections.abc import Iterator

from timers_client.ctl.parser import Parser

_BASH = """\
_timerctl() {{
    local cur=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}} path="" word
    for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
        case "$path $word" in
{moves}
        esac
    done
    case "$path $before" in
{values}
    esac
    case "$path" in
{choices}
    esac
}}
complete -o default -F _timerctl timerctl
"""


def completion(shell: str, parser: Parser) -> str:
    """Return the script for the shell to load."""
    words = list(_walk("", parser))
    if shell == "fish":
        return "".join(_fish(path, found) for path, found in words)
    moves = [f'        "{path} {word}") path="{path} {word}" ;;' for path, found in words for word in found.below()]
    values = [
        f'        "{path} {flag}") COMPREPLY=($(compgen -W \'{" ".join(known)}\' -- "$cur")); return ;;'
        for path, found in words
        for flag, known in found.flags().items()
        if known
    ]
    choices = [
        f'        "{path}") COMPREPLY=($(compgen -W \'{" ".join([*found.below(), *found.flags()])}\' -- "$cur")) ;;'
        for path, found in words
    ]
    script = _BASH.format(moves="\n".join(moves), values="\n".join(values), choices="\n".join(choices))
    # zsh loads the completions of bash after bashcompinit.
    loads = "autoload -U +X compinit && compinit\nautoload -U +X bashcompinit && bashcompinit\n"
    return loads + script if shell == "zsh" else script


def _walk(path: str, parser: Parser) -> Iterator[tuple[str, Parser]]:
    yield path, parser
    for word, below in parser.below().items():
        yield from _walk(f"{path} {word}", below)


def _fish(path: str, found: Parser) -> str:
    words = path.split()
    seen = "; and ".join(f"__fish_seen_subcommand_from {word}" for word in words) or "__fish_use_subcommand"
    lines = [f"complete -c timerctl -f -n '{seen}' -a '{' '.join(found.below())}'\n"] if found.below() else []
    for flag, known in found.flags().items():
        choices = f" -x -a '{' '.join(known)}'" if known else ""
        lines.append(f"complete -c timerctl -n '{seen}' -l {flag.removeprefix('--')}{choices}\n")
    return "".join(lines)
