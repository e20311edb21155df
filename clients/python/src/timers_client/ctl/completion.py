"""Completions, written from the parser itself."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

_BASH = """\
_timerctl() {{
    local cur=${{COMP_WORDS[COMP_CWORD]}} path="" word
    for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
        case "$path $word" in
{moves}
        esac
    done
    case "$path" in
{choices}
    esac
}}
complete -F _timerctl timerctl
"""


def completion(shell: str, parser: argparse.ArgumentParser) -> str:
    """The script that the shell is to read."""
    words = list(_walk("", parser))
    if shell == "fish":
        return "".join(_fish(path, found) for path, found in words)
    moves = [f'            "{path} {word}") path="{path} {word}" ;;' for path, found in words for word in found.words]
    choices = [
        f'        "{path}") COMPREPLY=($(compgen -W \'{" ".join([*found.words, *found.flags])}\' -- "$cur")) ;;'
        for path, found in words
    ]
    script = _BASH.format(moves="\n".join(moves), choices="\n".join(choices))
    return f"autoload -U +X bashcompinit && bashcompinit\n{script}" if shell == "zsh" else script


class _Found:
    """The words and flags that may follow."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self.flags = [flag for action in parser._actions for flag in action.option_strings if flag.startswith("--")]  # noqa: SLF001 - argparse has no other way to be asked
        self.parsers = {
            word: below
            for action in parser._actions  # noqa: SLF001
            if isinstance(action, argparse._SubParsersAction)  # noqa: SLF001
            for word, below in action.choices.items()
        }
        self.words = list(self.parsers)


def _walk(path: str, parser: argparse.ArgumentParser) -> Iterator[tuple[str, _Found]]:
    found = _Found(parser)
    yield path, found
    for word, below in found.parsers.items():
        yield from _walk(f"{path} {word}", below)


def _fish(path: str, found: _Found) -> str:
    words = path.split()
    seen = " and ".join(f"__fish_seen_subcommand_from {word}" for word in words[-1:]) or "__fish_use_subcommand"
    lines = [f"complete -c timerctl -f -n '{seen}' -a '{' '.join(found.words)}'\n"] if found.words else []
    lines += [f"complete -c timerctl -n '{seen}' -l {flag.removeprefix('--')}\n" for flag in found.flags]
    return "".join(lines)
