"""Schedule timers, one or many."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Unpack

from timers_client.answers import Raw, Result, Timer
from timers_client.call import LINES, Call, encoded, path
from timers_client.calls.words import Calendar, Duration, Instant, Kind, OnConflict, Options, WallClock, Window, raw

BULK_TIMERS: Final = 10_000
BULK_BYTES: Final = 7_500_000


def _schedule(kind: str, group: str, name: str, own: Mapping[str, Any], options: Mapping[str, Any]) -> Call[Timer]:
    given = {word: value for word, value in own.items() if value is not None}
    body = encoded({"kind": kind, "name": name, **given, **options})
    return Call("POST", path("groups", group, "timers"), Timer.of, body)


def schedule_once(
    group: str,
    name: str,
    *,
    at: Instant | None = None,
    after: Duration | None = None,
    debounce_max_wait: Duration | None = None,
    **options: Unpack[Options],
) -> Call[Timer]:
    """Schedule a timer that fires once.

    Args:
        group: Name of the group.
        name: Name of the timer.
        at: Instant of the fire. Give either `at` or `after`.
        after: Duration from now to the fire.
        debounce_max_wait: With on_conflict="replace", the longest time after its creation to which replacements can
            postpone the timer.
        **options: Options of all kinds.
    """
    own = {"at": at, "after": after, "debounce_max_wait": debounce_max_wait}
    return _schedule("once", group, name, own, options)


def schedule_fixed_rate(group: str, name: str, *, period: Duration, **options: Unpack[Options]) -> Call[Timer]:
    """Schedule a timer that fires every `period`, counted from start_at, or from now."""
    return _schedule("fixed_rate", group, name, {"period": period}, options)


def schedule_fixed_delay(group: str, name: str, *, delay: Duration, **options: Unpack[Options]) -> Call[Timer]:
    """Schedule a timer that fires `delay` after the end of the previous execution."""
    return _schedule("fixed_delay", group, name, {"delay": delay}, options)


def schedule_cron(
    group: str, name: str, *, expression: str, time_zone: str = "UTC", **options: Unpack[WallClock]
) -> Call[Timer]:
    """Schedule a timer that fires by a cron expression of 5, 6 (seconds first) or 7 fields (year last)."""
    return _schedule("cron", group, name, {"expression": expression, "time_zone": time_zone}, options)


def schedule_calendar(group: str, name: str, *, time_zone: str = "UTC", **options: Unpack[Calendar]) -> Call[Timer]:
    """Schedule a timer by a calendar expression: second, minute, hour, day_of_month, month, day_of_week, year."""
    return _schedule("calendar", group, name, {"time_zone": time_zone}, options)


def schedule_window(
    group: str,
    name: str,
    *,
    begin: str,
    end: str,
    every: Duration,
    time_zone: str = "UTC",
    **options: Unpack[Window],
) -> Call[Timer]:
    """Schedule a timer that fires every `every` within a daily window of the wall clock."""
    own = {"begin": begin, "end": end, "every": every, "time_zone": time_zone}
    return _schedule("window", group, name, own, options)


def schedule_rrule(
    group: str, name: str, *, rule: str, time_zone: str = "UTC", **options: Unpack[WallClock]
) -> Call[Timer]:
    """Schedule a timer that fires by an iCalendar recurrence rule (RFC 5545)."""
    return _schedule("rrule", group, name, {"rule": rule, "time_zone": time_zone}, options)


def preview(group: str, *, kind: Kind, n: int = 10, **keywords: Any) -> Call[Raw]:
    """Preview a timer with these keywords: words, fires, warnings."""
    return Call("POST", "/schedules/preview", raw, encoded({"group": group, "kind": kind, "n": n, **keywords}))


def bulks(
    group: str, requests: Iterable[Mapping[str, Any]], *, on_conflict: OnConflict = "reject", atomic: bool = False
) -> Iterator[Call[list[Result]]]:
    """Yield as few calls as possible for many requests (each with `kind` and `name`); with `atomic` exactly one."""
    begun = 0
    lines: list[bytes] = []
    size = 0
    for request in requests:
        line = encoded(request)
        if lines and (len(lines) == BULK_TIMERS or size + len(line) > BULK_BYTES):
            if atomic:
                raise ValueError(f"an atomic call takes {BULK_TIMERS:,} timers and {BULK_BYTES:,} bytes at most")
            yield _bulk(group, lines, begun, on_conflict, atomic)
            begun += len(lines)
            lines, size = [], 0
        lines.append(line)
        size += len(line) + 1
    if lines:
        yield _bulk(group, lines, begun, on_conflict, atomic)


def _bulk(group: str, lines: list[bytes], begun: int, on_conflict: OnConflict, atomic: bool) -> Call[list[Result]]:
    return Call(
        "POST", path("groups", group, "timers", "bulk"), lambda raw: [Result.of(each, begun) for each in raw],
        b"\n".join(lines), {"on_conflict": on_conflict, "atomic": atomic}, {"Content-Type": LINES}, wait=20,
    )  # fmt: skip
