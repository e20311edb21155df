"""Every verb of the service, as a description of its call; the clients carry them out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from timers_client.answers import Cancelled, Claimed, Execution, Page, Raw, Result, Timer
from timers_client.call import LINES, Call, encoded, path

Duration = int | float | str | timedelta
Instant = datetime | str

OnConflict = Literal["reject", "replace", "keep"]

BULK_TIMERS: Final = 10_000
BULK_BYTES: Final = 7_500_000
_KEEP: Any = object()
"""Marks what was not given."""


def _raw(raw: Any) -> Raw:
    return dict(raw)


def _nothing(_: Any) -> None:
    return None


def _schedule(kind: str, group: str, name: str, own: Mapping[str, Any], options: Mapping[str, Any]) -> Call[Timer]:
    given = {word: value for word, value in own.items() if value is not None}
    body = encoded({"kind": kind, "name": name, **given, **options})
    return Call("POST", path("groups", group, "timers"), Timer.of, body)


def schedule_once(
    group: str, name: str, *, at: Instant | None = None, after: Duration | None = None, **options: Any
) -> Call[Timer]:
    """Fire once, `at` an instant or `after` a duration from now.

    Options of all kinds: payload, handler, start_at, end_at, max_fires, jitter, priority, until_committed, time_zone,
    overrides, tags, description, on_conflict ("reject", "replace", "keep").
    """
    return _schedule("once", group, name, {"at": at, "after": after}, options)


def schedule_fixed_rate(group: str, name: str, *, period: Duration, **options: Any) -> Call[Timer]:
    """Fire every `period`, counted from start_at, or from now."""
    return _schedule("fixed_rate", group, name, {"period": period}, options)


def schedule_fixed_delay(group: str, name: str, *, delay: Duration, **options: Any) -> Call[Timer]:
    """Fire `delay` after the end of the execution before."""
    return _schedule("fixed_delay", group, name, {"delay": delay}, options)


def schedule_cron(group: str, name: str, *, expression: str, time_zone: str = "UTC", **options: Any) -> Call[Timer]:
    """Fire by a cron expression of 5, 6 (seconds first) or 7 fields (year last)."""
    return _schedule("cron", group, name, {"expression": expression, "time_zone": time_zone}, options)


def schedule_calendar(group: str, name: str, *, time_zone: str = "UTC", **options: Any) -> Call[Timer]:
    """Fire by a calendar expression: second, minute, hour, day_of_month, month, day_of_week, year."""
    return _schedule("calendar", group, name, {"time_zone": time_zone}, options)


def schedule_window(
    group: str, name: str, *, begin: str, end: str, every: Duration, time_zone: str = "UTC", **options: Any
) -> Call[Timer]:
    """Fire every so often within a daily window of the wall clock."""
    own = {"begin": begin, "end": end, "every": every, "time_zone": time_zone}
    return _schedule("window", group, name, own, options)


def schedule_rrule(group: str, name: str, *, rule: str, time_zone: str = "UTC", **options: Any) -> Call[Timer]:
    """Fire by a recurrence rule of iCalendar (RFC 5545)."""
    return _schedule("rrule", group, name, {"rule": rule, "time_zone": time_zone}, options)


def bulks(
    group: str, requests: Iterable[Mapping[str, Any]], *, on_conflict: OnConflict = "reject", atomic: bool = False
) -> Iterator[Call[list[Result]]]:
    """Many requests (each with `kind` and `name`) in as few calls as they fit into; with `atomic` in one."""
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


def get_timer(group: str, name: str) -> Call[Timer]:
    """One timer; raises NotFound."""
    return Call("GET", path("groups", group, "timers", name), Timer.of)


def get_timers(group: str, **filters: Any) -> Call[Page]:
    """The timers of a group: name_contains, kind, state, tag, payload_type, next_fire_before, next_fire_after."""
    return Call("GET", path("groups", group, "timers"), Page.of, query=filters)


def update_timer(group: str, name: str, *, version: int | None = None, **changes: Any) -> Call[Timer]:
    """Change the given keywords; `version`: raise StaleVersion when somebody changed the timer since it was read."""
    headers = {} if version is None else {"If-Match": f'"{version}"'}
    return Call("PATCH", path("groups", group, "timers", name), Timer.of, encoded(changes), headers=headers)


def cancel_timer(group: str, name: str, *, reason: str = "") -> Call[Cancelled]:
    """Never fire again, and give up retries that wait."""
    return Call("DELETE", path("groups", group, "timers", name), Cancelled.of, query={"reason": reason or None})


def pause_timer(group: str, name: str, *, until: Instant | None = None, reason: str = "") -> Call[Timer]:
    """Fire no more until resumed, by hand or by itself."""
    return Call(
        "POST", path("groups", group, "timers", name, "pause"), Timer.of, encoded({"until": until, "reason": reason})
    )


def resume_timer(group: str, name: str) -> Call[Timer]:
    """Fire again."""
    return Call("POST", path("groups", group, "timers", name, "resume"), Timer.of)


def fire_timer(group: str, name: str, *, payload: Any = _KEEP, delay: float = 0) -> Call[str]:
    """Run once, beside the schedule; returns the execution's id."""
    body = {"delay": delay} | ({} if payload is _KEEP else {"payload": payload})
    return Call("POST", path("groups", group, "timers", name, "fire"), _started, encoded(body))


def preview(group: str, *, kind: str, n: int = 10, **keywords: Any) -> Call[Raw]:
    """What a timer of these keywords would do: words, fires, warnings."""
    return Call("POST", "/schedules/preview", _raw, encoded({"group": group, "kind": kind, "n": n, **keywords}))


def next_fires(group: str, name: str, *, n: int = 10) -> Call[Raw]:
    """What a timer will do: words, fires, warnings."""
    return Call("GET", path("groups", group, "timers", name, "next-fires"), _raw, query={"n": n})


def get_groups() -> Call[Page]:
    """The groups that the key sees, by name."""
    return Call("GET", "/groups", Page.of)


def get_group(group: str) -> Call[Raw]:
    """One group; raises NotFound."""
    return Call("GET", path("groups", group), _raw)


def create_group(group: str, **fields: Any) -> Call[Raw]:
    """Create a group: action, retry, misfire_policy and so on; raises NameTaken."""
    return Call("POST", "/groups", _raw, encoded({"name": group, **fields}))


def get_executions(**filters: Any) -> Call[Page]:
    """Executions, newest first: state, group, timer, node, since, until, min_lateness, error_contains."""
    return Call("GET", "/executions", Page.of, query=filters)


def get_execution(execution: str) -> Call[Execution]:
    """One execution with its payload and all its tries in `raw`."""
    return Call("GET", path("executions", execution), Execution.of)


def retry(execution: str, *, payload: Any = _KEEP) -> Call[Execution]:
    """Try a failed execution again, now; with another payload if one is given."""
    return Call("POST", path("executions", execution, "retry"), Execution.of, _payload(payload))


def dismiss(execution: str, *, reason: str = "") -> Call[Execution]:
    """Give a failed execution up."""
    return Call("POST", path("executions", execution, "dismiss"), Execution.of, encoded({"reason": reason}))


def cancel_execution(execution: str, *, reason: str = "") -> Call[Execution]:
    """Cancel an execution that waits, or ask for the end of one that is held."""
    return Call("POST", path("executions", execution, "cancel"), Execution.of, encoded({"reason": reason}))


def replay(execution: str, *, payload: Any = _KEEP) -> Call[str]:
    """Run the action of an ended execution's timer again; returns the new execution's id."""
    return Call("POST", path("executions", execution, "replay"), _started, _payload(payload))


def failures(group: str | None = None) -> Call[list[Raw]]:
    """The faults by which executions have failed that wait for a person."""
    return Call("GET", "/failures", lambda raw: list(raw["items"]), query={"group": group})


def start_operation(verb: str, filter: Mapping[str, Any], *, pace: float | None = None) -> Call[Raw]:  # noqa: A002
    """Retry or dismiss all failed executions that now meet a filter, in the background."""
    return Call("POST", "/operations", _raw, encoded({"verb": verb, "filter": filter, "pace": pace}))


def get_operation(operation: int) -> Call[Raw]:
    """How far an operation has come."""
    return Call("GET", path("operations", str(operation)), _raw)


def me() -> Call[Raw]:
    """Who the key is: actor, scopes, groups."""
    return Call("GET", "/me", _raw)


def claim(
    group: str, consumer: str, *, limit: int = 1, lease: float = 30, wait: float = 0, subscription: str | None = None
) -> Call[list[Claimed]]:
    """Claim due messages of a group for `lease` seconds; with `wait`, wait so long for the first."""
    body = {"consumer": consumer, "limit": limit, "lease": lease, "wait": wait, "subscription": subscription}
    return Call(
        "POST", path("groups", group, "claims"), lambda raw: [Claimed.of(each) for each in raw["messages"]],
        encoded(body), wait=wait,
    )  # fmt: skip


def commit(execution: str, token: str, *, result: Any = None) -> Call[None]:
    """Done."""
    body = {"token": token, "result": result}
    return Call("POST", path("executions", execution, "commit"), _nothing, encoded(body))


def discard(execution: str, token: str, *, delay: float | None = None, reason: str = "") -> Call[None]:
    """Not yet: show it again."""
    # The text of an error may hold what JSON cannot.
    said = reason[:1000].replace("\0", "\ufffd").encode(errors="replace").decode()
    body = {"token": token, "delay": delay, "reason": said}
    return Call("POST", path("executions", execution, "discard"), _nothing, encoded(body))


def extend(execution: str, token: str, *, lease: float) -> Call[None]:
    """Keep what was claimed together for so long from now."""
    return Call("POST", path("executions", execution, "extend"), _nothing, encoded({"token": token, "lease": lease}))


def _started(raw: Any) -> str:
    return str(raw["execution"])


def _payload(payload: Any) -> bytes:
    return encoded({} if payload is _KEEP else {"payload": payload})
