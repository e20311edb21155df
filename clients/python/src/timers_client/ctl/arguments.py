"""The words of timerctl, and what each takes."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Final, cast

from timers_client.ctl.values import duration, json_value, keyword
from timers_client.version import VERSION

OWN: Final[dict[str, dict[str, str]]] = {
    "once": {"at": "an instant such as 2027-02-26T15:00:00+01:00", "after": "seconds, or PT1M30S"},
    "fixed_rate": {"period": "seconds, or PT1M30S"},
    "fixed_delay": {"delay": "seconds, or PT1M30S"},
    "cron": {"expression": "5, 6 (seconds first) or 7 fields (year last)"},
    "calendar": dict.fromkeys(
        ("second", "minute", "hour", "day_of_month", "month", "day_of_week", "year"),
        "as Jakarta Enterprise Beans has it",
    ),
    "window": {"begin": "13:00", "end": "15:00", "every": "seconds, or PT30M"},
    "rrule": {"rule": "a rule of iCalendar"},
}
"""The keywords of each kind's own."""
NEEDED: Final = frozenset({"period", "delay", "expression", "begin", "end", "every", "rule"})
_DURATIONS: Final = frozenset({"after", "period", "delay", "every"})
SHARED: Final[dict[str, str]] = {
    "handler": "a registered handler; without one the group's action is taken",
    "time_zone": "an IANA time zone",
    "start_at": "no fire before",
    "end_at": "no fire after",
    "description": "for people",
}
_EPILOG: Final = (
    "Exit codes: 0 done; 1 refused by the service; 2 a mistake in the command, or no address or key; 3 the service "
    "cannot be reached; 130 interrupted. Address and key: --url and --key, TIMER_SERVICE_URL and TIMER_SERVICE_KEY, or "
    "url and key in ~/.config/timerctl.toml, which only its owner may read."
)


_Word = Callable[[str, str], "Parser"]
"""Adds a word, with what it does."""


class Parser(argparse.ArgumentParser):
    """Options are written out: an abbreviation would mean something else as soon as there is another option."""

    def __init__(self, **options: object) -> None:
        super().__init__(**{"allow_abbrev": False, **options})  # type: ignore[arg-type]

    def below(self) -> dict[str, Parser]:
        """The words that may follow, each with what it takes."""
        found = [each for each in self._actions if isinstance(each, argparse._SubParsersAction)]  # noqa: SLF001 - argparse has no other way to be asked
        return {word: cast("Parser", parser) for each in found for word, parser in each.choices.items()}

    def flags(self) -> dict[str, list[str]]:
        """The long options, each with the values that it knows."""
        return {
            flag: [str(choice) for choice in action.choices or ()]
            for action in self._actions
            for flag in action.option_strings
            if flag.startswith("--")
        }


def parser() -> Parser:
    """The whole command line."""
    main = Parser(prog="timerctl", description="Timers from the command line.", epilog=_EPILOG)
    main.add_argument("--version", action="version", version=f"timerctl {VERSION}")
    _everywhere(main, is_outermost=True)
    words = main.add_subparsers(dest="word", required=True, metavar="WORD")

    def word(name: str, about: str) -> Parser:
        made = words.add_parser(name, help=about, description=f"{about[0].upper()}{about[1:]}.")
        _everywhere(made)
        return made

    _timers(word)
    for name, about in (("schedule", "schedule a timer"), ("preview", "tell what a timer would do")):
        kinds = word(name, about).add_subparsers(dest="kind", required=True, metavar="KIND")
        for kind, own in OWN.items():
            made = kinds.add_parser(kind.replace("_", "-"), help=f"a timer of kind {kind}")
            _everywhere(made)
            _schedule(made, kind, own, name)
    _groups(word)
    _consume(word("consume", "print messages as they come due, or run a command for each; commit them"))
    _executions(word)
    word("me", "tell who the key is, and what it may")
    completed = word("completion", "print the completion for a shell")
    completed.add_argument("shell", choices=["bash", "zsh", "fish"])
    return main


def _everywhere(word: argparse.ArgumentParser, *, is_outermost: bool = False) -> None:
    """Options that may stand before a word and after it."""
    default = None if is_outermost else argparse.SUPPRESS
    word.add_argument("--url", default=default, help="the service's address")
    word.add_argument(
        "--key", default=default,
        help="an application key; safer in TIMER_SERVICE_KEY or the file, where no process list shows it",
    )  # fmt: skip
    word.add_argument(
        "--deadline", type=float, default=15.0 if is_outermost else argparse.SUPPRESS, metavar="SECONDS",
        help="how long to try while the service cannot be reached (default 15)",
    )  # fmt: skip
    word.add_argument(
        "--json", action="store_true", default=False if is_outermost else argparse.SUPPRESS,
        help="one JSON object a line, in place of tables",
    )  # fmt: skip


def _timers(word: _Word) -> None:
    listed = word("list", "list the timers of a group by name")
    listed.add_argument("group")
    listed.add_argument("--state", choices=["active", "paused", "finished", "cancelled"])
    listed.add_argument("--kind", choices=list(OWN))
    listed.add_argument("--tag")
    listed.add_argument("--name-contains", dest="name_contains")
    for name, about in (
        ("show", "show one timer"),
        ("resume", "fire again"),
        ("next", "tell when a timer fires next"),
        ("skip", "leave out the next fire of a timer"),
    ):
        _timer(word(name, about))
    _reason(_timer(word("cancel", "never fire again, and give up retries that wait")))
    paused = _reason(_timer(word("pause", "fire no more until resumed")))
    paused.add_argument("--until", help="resumed by itself at this instant")
    fired = _timer(word("fire", "run once, beside the schedule"))
    _payload(fired)
    fired.add_argument("--delay", type=float, default=0, help="seconds")


def _groups(word: _Word) -> None:
    word("groups", "list the groups")
    paused = _reason(word("pause-group", "fire nothing of a group until it is resumed"))
    paused.add_argument("group")
    paused.add_argument("--until", help="resumed by itself at this instant")
    word("resume-group", "fire the timers of a group again").add_argument("group")


def _consume(consumed: Parser) -> None:
    consumed.add_argument("group")
    consumed.add_argument("--consumer", help="the name of this consumer (default: host and process)")
    consumed.add_argument("--subscription", help="only what is for this subscription of the group")
    consumed.add_argument("--lease", type=float, default=30, help="seconds; kept while the command runs (default 30)")
    consumed.add_argument("--limit", type=int, help="end after so many messages")
    consumed.add_argument(
        "--exec", dest="command", metavar="COMMAND",
        help="run by the shell for each message, the envelope on its standard input: exit code 0 commits, 75 discards, "
        "any other discards with the code as the reason",
    )  # fmt: skip
    consumed.add_argument("--timeout", type=float, metavar="SECONDS", help="end the command after so long, and discard")


def _executions(word: _Word) -> None:
    tail = word("tail", "print executions as they end")
    tail.add_argument("--group")
    tail.add_argument("--timer")
    tail.add_argument("--once", action="store_true", help="the latest 20 only")
    tail.add_argument(
        "--depth", type=int, default=1000, help="how many of the newest occurrences each look goes through"
    )
    word("execution", "show one execution with its payload and its tries").add_argument("execution")
    failed = word("failed", "list failed executions, or the faults behind them")
    failed.add_argument("--group")
    failed.add_argument("--by-fault", action="store_true", dest="by_fault")
    for name, about in (("retry", "try failed executions again"), ("dismiss", "give failed executions up")):
        many = word(name, f"{about}: some by their ids, or all that meet conditions, in the background")
        many.add_argument("executions", nargs="*", metavar="EXECUTION")
        for condition in ("group", "timer", "fingerprint", "error-contains", "failed-before", "failed-after"):
            many.add_argument(f"--{condition}", dest=condition.replace("-", "_"))
        many.add_argument("--all", action="store_true", help="every failed execution that the key sees")
        many.add_argument("--pace", type=float, help="at most so many a second, of those that meet conditions")
        if name == "retry":
            _payload(many)
        else:
            _reason(many)
    word("operations", "list what is, or was, being done to many failed executions")


def _timer(word: Parser) -> Parser:
    word.add_argument("group")
    word.add_argument("name")
    return word


def _reason(word: Parser) -> Parser:
    word.add_argument("--reason", default="", help="for the record")
    return word


def _payload(word: Parser) -> None:
    word.add_argument(
        "--payload", type=json_value, default=argparse.SUPPRESS, help="JSON; @FILE: from a file, -: standard input"
    )


def _schedule(word: Parser, kind: str, own: dict[str, str], what: str) -> None:
    word.set_defaults(kind=kind)
    word.add_argument("group")
    if what == "schedule":
        word.add_argument("name")
        word.add_argument("--on-conflict", dest="on_conflict", choices=["reject", "replace", "keep"], default="reject")
        word.add_argument("--until-committed", dest="until_committed", action="store_true", default=argparse.SUPPRESS)
        word.add_argument("--tag", dest="tags", action="append", default=argparse.SUPPRESS)
        _payload(word)
    else:
        word.add_argument("-n", type=int, default=10, help="how many fires (default 10)")
    word.add_argument(
        "--set", dest="others", action="append", type=keyword, default=argparse.SUPPRESS, metavar="KEYWORD=JSON",
        help='any other keyword, such as priority=5 or overrides={"retry": {"max_retries": 1}}',
    )  # fmt: skip
    for name, about in {**own, **SHARED}.items():
        reads = duration if name in _DURATIONS else str
        word.add_argument(
            f"--{name.replace('_', '-')}", dest=name, type=reads, default=argparse.SUPPRESS, help=about,
            required=name in NEEDED and name in own,
        )  # fmt: skip
