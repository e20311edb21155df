"""The command line's parser, and the options that several words share."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import cast

from timers_client.ctl.values import at_least, json_value, keyword

Word = Callable[[str, str], "Parser"]
"""Adds a word, with what it does."""


class Parser(argparse.ArgumentParser):
    """Options are written out: an abbreviation would mean something else as soon as there is another option."""

    def __init__(self, **options: object) -> None:
        super().__init__(**{"allow_abbrev": False, **options})  # type: ignore[arg-type]
        # The innermost one, which is the command's own, is set last.
        self.set_defaults(parser=self)

    def below(self) -> dict[str, Parser]:
        """The words that may follow, each with what it takes; of several spellings the first."""
        found: dict[Parser, str] = {}
        for each in self._actions:
            if isinstance(each, argparse._SubParsersAction):  # noqa: SLF001 - argparse has no other way to be asked
                for word, parser in each.choices.items():
                    found.setdefault(cast("Parser", parser), word)
        return {word: parser for parser, word in found.items()}

    def flags(self) -> dict[str, list[str]]:
        """The long options, each with the values that it knows."""
        return {
            flag: [str(choice) for choice in action.choices or ()]
            for action in self._actions
            for flag in action.option_strings
            if flag.startswith("--")
        }

    def options(self) -> dict[str, str]:
        """The option by which each field is given."""
        return {action.dest: action.option_strings[0] for action in self._actions if action.option_strings}

    def words(self, dest: str, *, default: str | None = None) -> Word:
        """What adds words below this one; one of them must follow, unless there is a default."""
        below = self.add_subparsers(dest=dest, required=default is None, metavar=dest.upper())
        if default is not None:
            self.set_defaults(**{dest: default})

        def word(name: str, about: str) -> Parser:
            # A kind is spelled as a word of the command line, or as the service has it.
            spelled = [name.replace("-", "_")] if dest == "kind" and "-" in name else []
            made = below.add_parser(name, aliases=spelled, help=about, description=f"{about[0].upper()}{about[1:]}.")
            everywhere(made)
            return made

        return word


def everywhere(word: argparse.ArgumentParser, *, is_outermost: bool = False) -> None:
    """Options that may stand before a word and after it."""
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
    """A word about something in a group."""
    word.add_argument("group")
    word.add_argument("name")
    return word


def reason(word: Parser) -> Parser:
    """A word that leaves a record."""
    word.add_argument("--reason", default="", help="for the record")
    return word


def until(word: Parser) -> Parser:
    """A word that pauses."""
    word.add_argument("--until", help="resumed by itself at this instant")
    return reason(word)


def payload(word: Parser) -> None:
    """A word that takes a payload."""
    word.add_argument(
        "--payload", type=json_value, default=argparse.SUPPRESS, help="JSON; @FILE: from a file, -: standard input"
    )


def fields(word: Parser, **named: str) -> Parser:
    """A word that takes fields: some by options of their own, as text or as JSON, and all others by --set."""
    for name, about in named.items():
        reads = json_value if about.startswith("JSON") else str
        word.add_argument(f"--{name}", type=reads, default=argparse.SUPPRESS, help=about)
    word.add_argument(
        "--set", dest="others", action="append", type=keyword, default=argparse.SUPPRESS, metavar="FIELD=JSON",
        help='any other field, such as priority=5 or retry={"max_retries": 1}',
    )  # fmt: skip
    return word
