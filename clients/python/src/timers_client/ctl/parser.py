"""Parser of the command line, and options that several commands share."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import cast

from timers_client.ctl.values import at_least, json_value, keyword

Word = Callable[[str, str], "Parser"]
"""Adds a command with its help."""


class Parser(argparse.ArgumentParser):
    """Parser without abbreviated options: an abbreviation could change its meaning when an option is added."""

    def __init__(self, **options: object) -> None:
        super().__init__(**{"allow_abbrev": False, **options})  # type: ignore[arg-type]
        # The innermost parser, which is the command's own, is set last.
        self.set_defaults(parser=self)

    def below(self) -> dict[str, Parser]:
        """Return the possible subcommands with their parsers; of several spellings only the first."""
        found: dict[Parser, str] = {}
        for each in self._actions:
            if isinstance(each, argparse._SubParsersAction):  # noqa: SLF001 - argparse has no other way to be asked
                for word, parser in each.choices.items():
                    found.setdefault(cast("Parser", parser), word)
        return {word: parser for parser, word in found.items()}

    def flags(self) -> dict[str, list[str]]:
        """Return the long options, each with its known values."""
        return {
            flag: [str(choice) for choice in action.choices or ()]
            for action in self._actions
            for flag in action.option_strings
            if flag.startswith("--")
        }

    def options(self) -> dict[str, str]:
        """Return the option of each field."""
        return {action.dest: action.option_strings[0] for action in self._actions if action.option_strings}

    def words(self, dest: str, *, default: str | None = None) -> Word:
        """Return a function that adds subcommands to this parser; one is required, unless there is a default."""
        below = self.add_subparsers(dest=dest, required=default is None, metavar=dest.upper())
        if default is not None:
            self.set_defaults(**{dest: default})

        def word(name: str, about: str) -> Parser:
            # A kind is spelled as on the command line, or as in the service.
            spelled = [name.replace("-", "_")] if dest == "kind" and "-" in name else []
            made = below.add_parser(name, aliases=spelled, help=about, description=f"{about[0].upper()}{about[1:]}.")
            everywhere(made)
            return made

        return word


def everywhere(word: argparse.ArgumentParser, *, is_outermost: bool = False) -> None:
    """Add options that can be placed before and after a command."""
    default = None if is_outermost else argparse.SUPPRESS
    word.add_argument("--url", default=default, help="the service's address")
    word.add_argument(
        "--key", default=default,
        help="an application key; safer in TIMER_SERVICE_KEY or the file, where no process list shows it",
    )  # fmt: skip
    word.add_argument(
        "--deadline", type=at_least(0, "a number of seconds"), metavar="SECONDS",
        default=15.0 if is_outermost else argparse.SUPPRESS,
        help="how long to try while the service cannot be reached (default 15)",
    )  # fmt: skip
    word.add_argument(
        "--json", action="store_true", default=False if is_outermost else argparse.SUPPRESS,
        help="one JSON object a line, in place of tables",
    )  # fmt: skip


def member(word: Parser) -> Parser:
    """Add the arguments of a command for an object in a group."""
    word.add_argument("group")
    word.add_argument("name")
    return word


def reason(word: Parser) -> Parser:
    """Add the option for the reason in the audit trail."""
    word.add_argument("--reason", default="", help="for the record")
    return word


def until(word: Parser) -> Parser:
    """Add the option for the end of a pause."""
    word.add_argument("--until", help="resumed by itself at this instant")
    return reason(word)


def payload(word: Parser) -> None:
    """Add the option for a payload."""
    word.add_argument(
        "--payload", type=json_value, default=argparse.SUPPRESS, help="JSON; @FILE: from a file, -: standard input"
    )


def fields(word: Parser, **named: str) -> Parser:
    """Add options for fields: some with options of their own, as text or as JSON, and all others by --set."""
    for name, about in named.items():
        reads = json_value if about.startswith("JSON") else str
        word.add_argument(f"--{name}", type=reads, default=argparse.SUPPRESS, help=about)
    word.add_argument(
        "--set", dest="others", action="append", type=keyword, default=argparse.SUPPRESS, metavar="FIELD=JSON",
        help='any other field, such as priority=5 or retry={"max_retries": 1}',
    )  # fmt: skip
    return word
