"""Timers that are there: read, change, pause, fire, cancel."""

from __future__ import annotations

from typing import Any

from timers_client.answers import Cancelled, Page, Raw, Timer
from timers_client.call import Call, encoded, path
from timers_client.calls.words import NOT_GIVEN, Instant, Overlap, if_match, page_of, raw, started


def get_timer(group: str, name: str) -> Call[Timer]:
    """One timer; raises NotFound."""
    return Call("GET", _timer(group, name), Timer.of)


def get_timers(group: str, **filters: Any) -> Call[Page[Timer]]:
    """The timers of a group by name.

    Filters: name_contains, kind, state, tag, payload_type, next_fire_before, next_fire_after; `limit`: of one page.
    """
    return Call("GET", path("groups", group, "timers"), page_of(Timer.of), query=filters)


def update_timer(group: str, name: str, *, version: int | None = None, **changes: Any) -> Call[Timer]:
    """Change the given keywords; `version`: raise StaleVersion when somebody changed the timer since it was read."""
    return Call("PATCH", _timer(group, name), Timer.of, encoded(changes), headers=if_match(version))


def cancel_timer(group: str, name: str, *, reason: str = "", version: int | None = None) -> Call[Cancelled]:
    """Never fire again, and give up retries that wait."""
    query = {"reason": reason or None}
    return Call("DELETE", _timer(group, name), Cancelled.of, query=query, headers=if_match(version))


def pause_timer(group: str, name: str, *, until: Instant | None = None, reason: str = "") -> Call[Timer]:
    """Fire no more until resumed, by hand or by itself."""
    return Call("POST", _timer(group, name, "pause"), Timer.of, encoded({"until": until, "reason": reason}))


def resume_timer(group: str, name: str) -> Call[Timer]:
    """Fire again; what was missed meanwhile follows the misfire policy."""
    return Call("POST", _timer(group, name, "resume"), Timer.of)


def fire_timer(
    group: str, name: str, *, payload: Any = NOT_GIVEN, delay: float = 0, overlap: Overlap | None = None
) -> Call[str]:
    """Run once, in addition to the schedule, after `delay` seconds; returns the execution's id.

    `overlap`: the overlap policy of this run, while an execution of the timer has not ended; None: the timer's.
    """
    body = (
        {"delay": delay}
        | ({} if overlap is None else {"overlap": overlap})
        | ({} if payload is NOT_GIVEN else {"payload": payload})
    )
    return Call("POST", _timer(group, name, "fire"), started, encoded(body))


def skip_next_fire(group: str, name: str) -> Call[Raw]:
    """Leave out the next fire that would run: `skipped` and the timer."""
    return Call("POST", _timer(group, name, "skip-next"), raw)


def backfill_timer(group: str, name: str, *, start: Instant, end: Instant, **keywords: Any) -> Call[Raw]:
    """Run what the schedule had in a past span of time; keywords: overlap, per_second, payload."""
    return Call("POST", _timer(group, name, "backfill"), raw, encoded({"start": start, "end": end, **keywords}))


def cancel_backfill(group: str, name: str) -> Call[int]:
    """Cancel what still waits of a timer's backfills; returns how many that were."""
    return Call("DELETE", _timer(group, name, "backfill"), lambda answer: int(answer["cancelled"]))


def next_fires(group: str, name: str, *, n: int = 10) -> Call[Raw]:
    """What a timer will do: words, fires, warnings."""
    return Call("GET", _timer(group, name, "next-fires"), raw, query={"n": n})


def _timer(group: str, name: str, *verb: str) -> str:
    return path("groups", group, "timers", name, *verb)
