"""Keywords of timers, as options."""

from __future__ import annotations

import argparse
from typing import Final

from timers_client.ctl.parser import Parser, fields, payload
from timers_client.ctl.values import duration

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
"""Keywords of each kind."""
NEEDED: Final = frozenset({"period", "delay", "expression", "begin", "end", "every", "rule"})
_DURATIONS: Final = frozenset({"after", "period", "delay", "every"})
SHARED: Final[dict[str, str]] = {
    "handler": "a registered handler; without one the group's action is taken",
    "time_zone": "an IANA time zone",
    "start_at": "no fire before",
    "end_at": "no fire after",
    "description": "for people",
}
STORED: Final = ("payload", "until_committed", "tags", "concurrency_key")
"""Keywords that are stored with a timer and do not affect its schedule."""


def schedule(word: Parser, own: dict[str, str], *, needed: frozenset[str] = NEEDED) -> None:
    """Add the keywords of a schedule. `needed`: the required ones."""
    for name, about in {**own, **SHARED}.items():
        reads = duration if name in _DURATIONS else str
        word.add_argument(
            f"--{name.replace('_', '-')}", dest=name, type=reads, default=argparse.SUPPRESS, help=about,
            required=name in needed and name in own,
        )  # fmt: skip
    fields(word)


def stored(word: Parser) -> None:
    """Add the keywords that are stored with a timer."""
    action = argparse.BooleanOptionalAction
    word.add_argument("--until-committed", dest="until_committed", action=action, default=argparse.SUPPRESS)
    word.add_argument(
        "--concurrency-key", dest="concurrency_key", default=argparse.SUPPRESS, help="whose runs are limited together"
    )
    word.add_argument("--tag", dest="tags", action="append", default=argparse.SUPPRESS)
    payload(word)
