"""The words of timerctl, and what each takes."""

from __future__ import annotations

import argparse
import json
from typing import Any, Final

OWN: Final[dict[str, dict[str, str]]] = {
    "once": {"at": "an instant such as 2027-02-26T15:00:00+01:00", "after": "seconds, or PT1M30S"},
    "fixed_rate": {"period": "seconds, or PT1M30S"},
    "fixed_delay": {"delay": "seconds, or PT1M30S"},
    "cron": {"expression": "5, 6 or 7 fields"},
    "calendar": dict.fromkeys(
        ("second", "minute", "hour", "day_of_month", "month", "day_of_week", "year"),
        "as Jakarta Enterprise Beans has it",
    ),
    "window": {"begin": "13:00", "end": "15:00", "every": "seconds, or PT30M"},
    "rrule": {"rule": "a rule of iCalendar"},
}
"""The keywords of each kind's own."""
_DURATIONS: Final = frozenset({"after", "period", "delay", "every"})
SHARED: Final[dict[str, str]] = {
    "handler": "a registered handler; without one the group's action is taken",
    "time_zone": "an IANA time zone",
    "start_at": "no fire before",
    "end_at": "no fire after",
    "description": "for people",
}


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    main = argparse.ArgumentParser(
        prog="timerctl",
        description="Timers from the command line.",
        epilog="Exit codes: 0 done; 1 refused by the service; 2 a mistake in the command; 3 the service cannot be "
        "reached; 130 interrupted. Address and key: --url and --key, TIMER_SERVICE_URL and TIMER_SERVICE_KEY, or url "
        "and key in ~/.config/timerctl.toml.",
    )
    main.add_argument("--url", help="the service's address")
    main.add_argument(
        "--key", help="an application key; safer in TIMER_SERVICE_KEY or the file, where no process list shows it"
    )
    main.add_argument("--json", action="store_true", help="JSON instead of tables, a line for each")
    words = main.add_subparsers(dest="word", required=True, metavar="WORD")

    groups = words.add_parser("groups", help="list the groups")
    groups.set_defaults(columns=["name", "state", "priority", "misfire_policy", "overlap_policy"])

    listed = words.add_parser("list", help="list the timers of a group")
    listed.add_argument("group")
    listed.add_argument("--state", choices=["active", "paused", "finished", "cancelled"])
    listed.add_argument("--kind", choices=list(OWN))
    listed.add_argument("--tag")
    listed.add_argument("--name-contains", dest="name_contains")

    for word, about in (("show", "show one timer"), ("resume", "fire again"), ("next", "what a timer will do")):
        _timer(words.add_parser(word, help=about))
    _reason(_timer(words.add_parser("cancel", help="never fire again")))
    paused = _reason(_timer(words.add_parser("pause", help="fire no more until resumed")))
    paused.add_argument("--until", help="resumed by itself at this instant")
    fired = _timer(words.add_parser("fire", help="run once, beside the schedule"))
    _payload(fired)
    fired.add_argument("--delay", type=float, default=0, help="seconds")

    for word, about in (("schedule", "schedule a timer"), ("preview", "what a timer would do")):
        kinds = words.add_parser(word, help=about).add_subparsers(dest="kind", required=True, metavar="KIND")
        for kind, own in OWN.items():
            _schedule(kinds.add_parser(kind.replace("_", "-"), help=f"a timer of kind {kind}"), kind, own, word)

    consumed = words.add_parser("consume", help="print messages as they come due, or run a command for each")
    consumed.add_argument("group")
    consumed.add_argument("--consumer", help="the name of this consumer")
    consumed.add_argument("--subscription")
    consumed.add_argument("--lease", type=float, default=30, help="seconds (default 30)")
    consumed.add_argument("--limit", type=int, help="end after so many messages")
    consumed.add_argument(
        "--exec", dest="command", metavar="COMMAND",
        help="run by the shell for each message, the envelope on its standard input: exit code 0 commits, 75 discards, "
        "any other discards with the code as the reason",
    )  # fmt: skip

    tail = words.add_parser("tail", help="print executions as they end")
    tail.add_argument("--group")
    tail.add_argument("--timer")
    tail.add_argument("--once", action="store_true", help="the latest ones only")

    failed = words.add_parser("failed", help="list failed executions, or by fault")
    failed.add_argument("--group")
    failed.add_argument("--by-fault", action="store_true", dest="by_fault")
    retried = words.add_parser("retry", help="try a failed execution again")
    retried.add_argument("execution")
    _payload(retried)
    _reason(words.add_parser("dismiss", help="give a failed execution up")).add_argument("execution")

    words.add_parser("completion", help="print the completion for a shell").add_argument(
        "shell", choices=["bash", "zsh", "fish"]
    )
    return main


def duration(text: str) -> float | str:
    """Seconds, or text that the service reads as ISO 8601."""
    try:
        return float(text)
    except ValueError:
        return text


def keyword(text: str) -> tuple[str, Any]:
    """KEYWORD=JSON."""
    name, _, value = text.partition("=")
    return name, json_value(value)


def json_value(text: str) -> Any:
    """A JSON value of the command line."""
    try:
        return json.loads(text)
    except ValueError:
        raise argparse.ArgumentTypeError('must be JSON, such as {"a": 1}, or "text" with its quotes') from None


def _timer(word: argparse.ArgumentParser) -> argparse.ArgumentParser:
    word.add_argument("group")
    word.add_argument("name")
    return word


def _reason(word: argparse.ArgumentParser) -> argparse.ArgumentParser:
    word.add_argument("--reason", default="")
    return word


def _payload(word: argparse.ArgumentParser) -> None:
    word.add_argument("--payload", type=json_value, default=argparse.SUPPRESS, help="JSON")


def _schedule(word: argparse.ArgumentParser, kind: str, own: dict[str, str], what: str) -> None:
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
        word.add_argument(f"--{name.replace('_', '-')}", dest=name, type=reads, default=argparse.SUPPRESS, help=about)
