"""schedules: the cost of a schedule: parse and compute the next instant, compute again, count after a year, and the CPU
time of hostile ones (see hostile_rules.py)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from itertools import cycle, islice
from statistics import median, quantiles
from typing import Any, Final

from timerproject.bench.hostile_rules import HOSTILE
from timers.exceptions import InvalidRequest
from timers.schedules import Schedule, parse

_NOW: Final = datetime(2026, 11, 20, 15, 0, 27, tzinfo=UTC)
_ZONES: Final = ("Europe/Berlin", "America/New_York", "Asia/Tokyo", "Australia/Lord_Howe", "UTC")
_ANCHOR: Final = datetime(2026, 1, 1, tzinfo=UTC)
_START: Final = datetime(2026, 11, 28, 19)  # noqa: DTZ001 - a wall

CRON: Final = (
    "{m} {h} * * *", "*/5 * * * *", "{m} * * * *", "{m} {h} * * MON-FRI", "{m} {h} 1,15 * *", "{m} {h} L * *",
    "{m} {h} 15W * ?", "{s} {m} {h} ? * FRI#3", "0 {m} {h} ? 1,7 2L 2027-2040", "{m} 9-17/2 * * 1-5",
    "{m} {h} 29 2 *", "{m} {h} 13 * 5",
)  # fmt: skip
CALENDARS: Final[tuple[dict[str, str], ...]] = (
    {"minute": "{m}", "hour": "{h}"},
    {"minute": "*/5", "hour": "*"},
    {"minute": "{m}", "hour": "{h}", "day_of_week": "Mon-Fri"},
    {"minute": "{m}", "hour": "{h}", "day_of_month": "Last Thu", "month": "Nov"},
    {"minute": "{m}", "hour": "12/2", "day_of_month": "2nd Tue"},
    {"second": "{s}", "minute": "{m}", "day_of_month": "27-3", "year": "2026-2040"},
)


def measure(*, rounds: int) -> dict[str, Any]:
    """Return medians over `rounds` schedules of each kind, all different; writes nothing and starts no node."""
    crons = list(islice(_specs("cron", [{"expression": expression} for expression in CRON]), rounds))
    calendars = list(islice(_specs("calendar", CALENDARS), rounds))
    rates = [("fixed_rate", {"period": n + 1, "anchor": _ANCHOR}, "UTC") for n in range(rounds)]
    return {
        "make_and_next_us": {
            "cron": _each(crons, _make_and_next),
            "calendar": _each(calendars, _make_and_next),
            "fixed_rate": _each(rates, _make_and_next),
        },
        "next_us": {
            "cron": _each([parse(*cron) for cron in crons], _next),
            "calendar": _each([parse(*calendar) for calendar in calendars], _next),
            "fixed_rate": _each([parse(*rate) for rate in rates], _next),
        },
        "a_year_missed_ms": _milliseconds(parse("cron", {"expression": "* * * * *"}, _ZONES[0])),
        "hostile_cpu_ms": _hostile(rounds),
    }


def _specs(kind: str, forms: Iterable[dict[str, str]]) -> Iterable[tuple[str, dict[str, str], str]]:
    """Yield specs of the forms in turn, each time with another second, minute and hour."""
    for n, (form, zone) in enumerate(zip(cycle(forms), cycle(_ZONES), strict=False)):
        values = {"s": n % 59, "m": n * 7 % 60, "h": n * 5 % 24}
        yield kind, {name: text.format(**values) for name, text in form.items()}, zone


def _make_and_next(spec: tuple[str, dict[str, Any], str]) -> None:
    parse(*spec).next_after(_NOW)


def _next(schedule: Schedule) -> None:
    schedule.next_after(_NOW)


def _each(subjects: list[Any], step: Callable[[Any], None]) -> dict[str, float]:
    took = []
    for subject in subjects:
        began = time.perf_counter_ns()
        step(subject)
        took.append((time.perf_counter_ns() - began) / 1_000)
    return {"p50": round(median(took), 1), "p99": round(quantiles(took, n=100)[98], 1), "most": round(max(took), 1)}


def _milliseconds(schedule: Schedule) -> float:
    first = schedule.first(_NOW)
    assert first is not None
    began = time.perf_counter_ns()
    schedule.missed(first, first + timedelta(days=365))
    return round((time.perf_counter_ns() - began) / 1_000_000, 2)


def _hostile(rounds: int) -> dict[str, dict[str, float]]:
    """Return the CPU milliseconds to accept, refuse, and compute the next instant of hostile specs, all different."""
    took: dict[str, list[float]] = {"accept": [], "refuse": [], "next": []}
    for number in range(rounds):
        for kind, given in HOSTILE.values():
            # Another start each time, so that a cached result of one rule does not shorten the next measurement.
            spec = {**given, "start": (_START + timedelta(days=number)).isoformat()} if kind == "rrule" else given
            began = time.thread_time_ns()
            try:
                schedule = parse(kind, spec, _ZONES[number % len(_ZONES)])
            except InvalidRequest:
                took["refuse"].append((time.thread_time_ns() - began) / 1_000_000)
                continue
            took["accept"].append((time.thread_time_ns() - began) / 1_000_000)
            began = time.thread_time_ns()
            schedule.next_after(_NOW)
            took["next"].append((time.thread_time_ns() - began) / 1_000_000)
    return {
        verb: {"p50": round(median(each), 3), "p99": round(quantiles(each, n=100)[98], 3), "most": round(max(each), 3)}
        for verb, each in took.items()
    }
