"""Existing timers: read, change, pause, fire, cancel."""

from __future__ import annotations

from typing import Any

from timers_client.answers import Cancelled, Page, Raw, Timer
from timers_client.call import Call, encoded, path
from timers_client.calls.words import NOT_GIVEN, Instant, Overlap, if_match, page_of, raw, started


def get_timer(group: str, name: str) -> Call[Timer]:
    """Return one timer. Raises NotFound."""
    return Call("GET", _timer(group, name), Timer.of)


def get_timers(group: str, **filters: Any) -> Call[Page[Timer]]:
    """List the timers of a group by name.

    Filters: name_contains, kind, state, tag, payload_type, next_fire_before, next_fire_after; `limit` is the size of a
    page.
    """
    return Call("GET", path("groups", group, "timers"), page_of(Timer.of), query=filters)


def update_timer(group: str, name: str, *, version: int | None = None, **changes: Any) -> Call[Timer]:
    """Change the given keywords of a timer.

    `version`: raise StaleVersion if the timer has changed since that version.
    """
    return Call("PATCH", _timer(group, name), Timer.of, encoded(changes), headers=if_match(version))


def cancel_timer(group: str, name: str, *, reason: str = "", version: int | None = None) -> Call[Cancelled]:
    """Cancel a timer: it never fires again, and waiting retries are cancelled."""
    query = {"reason": reason or None}
    return Call("DELETE", _timer(group, name), Cancelled.of, query=query, headers=if_match(version))


def pause_timer(group: str, name: str, *, until: Instant | None = None, reason: str = "") -> Call[Timer]:
    """Pause a timer: it does not fire until it is resumed, manually or automatically."""
    return Call("POST", _timer(group, name, "pause"), Timer.of, encoded({"until": until, "reason": reason}))


def resume_timer(group: str, name: str) -> Call[Timer]:
    """Resume a timer. Fires missed in the meantime follow the misfire policy."""
    return Call("POST", _timer(group, name, "resume"), Timer.of)


def fire_timer(
    group: str, name: str, *, payload: Any = NOT_GIVEN, delay: float = 0, overlap: Overlap | None = None
) -> Call[str]:
    """Run a timer once, in addition to its schedule; return the execution's id.

    Args:
        group: Name of the group.
        name: Name of the timer.
        payload: Payload of this run; not given: the timer's.
        delay: Seconds to wait before the run.
        overlap: Overlap policy of this run while an execution of the timer has not ended; None: the timer's.
    """
    body = (
        {"delay": delay}
        | ({} if overlap is None else {"overlap": overlap})
        | ({} if payload is NOT_GIVEN else {"payload": payload})
    )
    return Call("POST", _timer(group, name, "fire"), started, encoded(body))


def skip_next_fire(group: str, name: str) -> Call[Raw]:
    """Skip the next fire of a timer; return `skipped` and the timer."""
    return Call("POST", _timer(group, name, "skip-next"), raw)


def backfill_timer(group: str, name: str, *, start: Instant, end: Instant, **keywords: Any) -> Call[Raw]:
    """Run the occurrences that the schedule had in a past time range. Keywords: overlap, per_second, payload."""
    return Call("POST", _timer(group, name, "backfill"), raw, encoded({"start": start, "end": end, **keywords}))


def cancel_backfill(group: str, name: str) -> Call[int]:
    """Cancel the waiting executions of a timer's backfills; return their number."""
    return Call("DELETE", _timer(group, name, "backfill"), lambda answer: int(answer["cancelled"]))


def next_fires(group: str, name: str, *, n: int = 10) -> Call[Raw]:
    """Return the next fires of a timer: words, fires, warnings."""
    return Call("GET", _timer(group, name, "next-fires"), raw, query={"n": n})


def _timer(group: str, name: str, *verb: str) -> str:
    return path("groups", group, "timers", name, *verb)
