"""Executions by state, filtered, by page: claimed, waiting, or from the ledger.

Newest occurrence first; for an execution in the ledger, its newest row first. Paged by id. A page reads a bounded
number of rows, however many there are: if a filter matches rarely, the page can be short or empty and still have a next
page.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from timers.database import connection
from timers.domain.execution_id import execution_id
from timers.insights.execution_view import ExecutionView, claimed_views, ledger_views, waiting_views
from timers.insights.ledger_order import Rest, newest_first, place_below, rest_after, unseen_final
from timers.models import Attempt, Timer, TimerGroup
from timers.schedules.instant import to_microseconds

HISTORY: Final = "history"
WAITING: Final = ("ready", "queued", "blocked", "failed")
STATES: Final = (
    "claimed",
    *WAITING,
    HISTORY,
    *(word for word in (*Attempt.FINAL, *Attempt.NOT_FINAL) if word != "failed"),
)
"""States that can be listed: `failed` waits for a person, `history` is every row of the ledger."""
LOOKED_AT: Final = 20_000
"""Maximum number of rows that one page reads."""
_FIRST_LOOK: Final = 500
_MOST_TIMERS: Final = 1_000
_LATE_CANDIDATES: Final = 1_000
"""Number of rows for which one query computes the lateness."""


@dataclass(frozen=True, slots=True)
class ExecutionPage:
    """One page, and the `before_id` of the next; None if there is none."""

    executions: list[ExecutionView]
    next: UUID | None


def find(
    state: str = HISTORY,
    *,
    groups: Collection[str] | None = None,
    group: str | None = None,
    timer: str | None = None,
    node: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    min_lateness: float | None = None,
    error_contains: str | None = None,
    before_id: UUID | None = None,
    limit: int = 50,
    looked_at: int = LOOKED_AT,
) -> ExecutionPage:
    """Return one page of the executions in a state that meet all conditions.

    Args:
        state: One of STATES.
        groups: Names of the groups that the caller may see; None: all.
        group: Name of the group.
        timer: Name of the timer.
        node: Name of a node, or "consumer" and a consumer's name.
        since: Inclusive lower bound of the nominal instant.
        until: Exclusive upper bound of the nominal instant.
        min_lateness: Seconds from the due instant (including the jitter offset) to the start. Executions that have not
            begun, or were pulled, have no lateness.
        error_contains: Text in the error or the reason, case-insensitive.
    """
    asked = _Asked(
        group_ids=_group_ids(groups, group),
        timer_ids=_timer_ids(timer, groups, group),
        params={
            "state": state, "node": node, "timer": timer, "min_lateness": min_lateness,
            "error_contains": error_contains,
            "since": None if since is None else execution_id(to_microseconds(since), 0),
            "until": None if until is None else execution_id(to_microseconds(until), 0),
        },
    )  # fmt: skip
    if asked.group_ids == [] or _is_impossible(state, asked.params):
        return ExecutionPage([], None)
    if state == "claimed":
        views = claimed_views(_claimed_where(asked, before_id), asked.all_params(before_id), limit + 1)
        return ExecutionPage(views[:limit], views[limit - 1].row_id if len(views) > limit else None)
    rest = rest_after(before_id)
    found, below = list[UUID](), rest.below
    for look in (min(_FIRST_LOOK, looked_at), looked_at):
        ids, below = _look_with_lateness(
            asked, below, rest.seen, look=max(look, limit + 1), limit=limit + 1 - len(found)
        )
        found += ids
        if len(found) > limit or below is None:
            break
    if state in WAITING:
        return ExecutionPage(waiting_views(found[:limit]), found[limit - 1] if len(found) > limit else below)
    return _ledger_page(asked, found, below, rest, limit)


def _ledger_page(asked: _Asked, found: list[UUID], below: UUID | None, rest: Rest, limit: int) -> ExecutionPage:
    """Return one page of the ledger, in order. `below`: the lowest id that was read; None: to the end."""
    last_looked_at = found[limit - 1] if len(found) > limit else below
    page = found[:limit]
    if (final := unseen_final(page, last_looked_at, rest)) is not None:
        page += _look_with_lateness(asked, UUID(int=final.int + 1), None, look=1, limit=1, at_least=final)[0]
    page = newest_first(page, lambda row: row)
    views = ledger_views(page[:limit])
    if len(found) > limit or len(page) > limit:
        return ExecutionPage(views, page[:limit][-1])
    return ExecutionPage(views, None if below is None else place_below(below))


class _Asked(NamedTuple):
    """The conditions, with names resolved to ids."""

    group_ids: list[int] | None
    timer_ids: list[int] | None
    """Ids of the timers; empty: no timer of that name exists, but its history may."""
    params: dict[str, Any]

    def all_params(self, before: UUID | None, **more: Any) -> dict[str, Any]:
        return {**self.params, "group_ids": self.group_ids, "timer_ids": self.timer_ids, "before": before, **more}


def _look_with_lateness(
    asked: _Asked, before: UUID | None, seen: UUID | None, *, look: int, limit: int, at_least: UUID | None = None
) -> tuple[Sequence[UUID], UUID | None]:
    """Do what `_look` does, for rows that are late enough.

    The database compares with the nominal instant, which is never after the due instant. It does not compute the jitter
    offset, which is a hash.
    """
    least = asked.params["min_lateness"]
    if not least:
        return _look(asked, before, seen, look=look, limit=limit, at_least=at_least)
    most = max(limit, _LATE_CANDIDATES)
    ids, below = _look(asked, before, seen, look=look, limit=most, at_least=at_least)
    late = {view.row_id for view in ledger_views(ids) if (view.lateness or 0) >= least}
    # If there were more candidates, those below the last one have not been read.
    return [row for row in ids if row in late], ids[-1] if len(ids) == most else below


# Reads the newest rows of each key; beyond the last row read of any key, nothing is known about the others.
_LOOK: Final = """
WITH looked AS MATERIALIZED (
    SELECT s.key, w.id, w.matches FROM unnest(%(keys)s::bigint[]) AS s(key), LATERAL (
        SELECT w.id, ({by_row}) AS matches FROM {table} w
        WHERE {key} AND {bounds} ORDER BY w.id DESC LIMIT %(look)s) w),
ends AS (
    SELECT (array_agg(id ORDER BY id))[1] AS id FROM looked GROUP BY key HAVING count(*) >= %(look)s),
stop AS (
    SELECT id FROM ends ORDER BY id DESC LIMIT 1)
SELECT ARRAY(SELECT id FROM looked WHERE matches AND id >= COALESCE((SELECT id FROM stop), %(lowest)s)
             ORDER BY id DESC LIMIT %(limit)s), (SELECT id FROM stop)
"""


def _look(
    asked: _Asked, before: UUID | None, seen: UUID | None, *, look: int, limit: int, at_least: UUID | None = None
) -> tuple[Sequence[UUID], UUID | None]:
    """Return the matching ids among the next `look` rows, and the id where reading ended; None at the end of all.

    `seen`: a row to leave out. `at_least`: the lowest id to read.
    """
    state, params = asked.params["state"], asked.params
    is_waiting = state in WAITING
    keys, key = [0], "true"
    conditions = {
        "w.name = %(timer)s": params["timer"] is not None,
        "w.group_id = ANY(%(group_ids)s::bigint[])": asked.group_ids is not None,
        "strpos(lower(concat(w.error_title, ' ', w.reason)), lower(%(error_contains)s)) > 0": params["error_contains"],
        "w.outcome = %(state)s": not is_waiting and state != HISTORY,
        "w.node = %(node)s": params["node"] is not None,
        "w.attempt = 1 AND w.worker IS NOT NULL"
        " AND w.started_at - w.scheduled_for >= %(min_lateness)s * INTERVAL '1 second'": params["min_lateness"],
    }
    if asked.timer_ids:
        keys, key = asked.timer_ids, "w.timer_id = s.key"
    elif asked.group_ids is not None and state == "failed":
        keys, key = asked.group_ids, "w.group_id = s.key"
    by_row = " AND ".join(condition for condition, given in conditions.items() if given)
    bounds = {
        # As a constant, because the indexes over waiting executions are partial.
        f"w.state = '{state}'": is_waiting,
        "w.id < %(before)s": before is not None,
        "w.id <> %(seen)s": seen is not None,
        "w.id >= %(at_least)s": at_least is not None,
        "w.id >= %(since)s": params["since"],
        "w.id < %(until)s": params["until"],
    }
    statement = _LOOK.format(
        table="timers_waiting" if is_waiting else "timers_attempt",
        key=key,
        by_row=f"COALESCE({by_row}, false)" if by_row else "true",
        bounds=" AND ".join(bound for bound, given in bounds.items() if given) or "true",
    )
    look = max(limit, look // len(keys))
    wanted = asked.all_params(
        before, keys=keys, look=look, limit=limit, lowest=UUID(int=0), seen=seen, at_least=at_least
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, wanted)
        ids, end = cursor.fetchone()
    return ids, end


def _claimed_where(asked: _Asked, before: UUID | None) -> str:
    conditions = {
        "c.group_id = ANY(%(group_ids)s::bigint[])": asked.group_ids is not None,
        "e.timer_id = ANY(%(timer_ids)s::bigint[])": asked.timer_ids is not None,
        "COALESCE(n.name, 'consumer ' || c.consumer) = %(node)s": asked.params["node"] is not None,
        "e.id < %(before)s": before is not None,
        "e.id >= %(since)s": asked.params["since"],
        "e.id < %(until)s": asked.params["until"],
    }
    return " AND ".join(condition for condition, given in conditions.items() if given) or "true"


def _is_impossible(state: str, params: dict[str, Any]) -> bool:
    """Whether nothing in the state can meet the conditions: what has not begun is not late, what runs has no error."""
    if state in WAITING:
        return params["min_lateness"] is not None or params["node"] is not None
    return state == "claimed" and (params["min_lateness"] is not None or bool(params["error_contains"]))


def _group_ids(groups: Collection[str] | None, group: str | None) -> list[int] | None:
    if group is None and groups is None:
        return None
    names = set() if groups is None else set(groups)
    wanted = names if group is None else {group} if groups is None else names & {group}
    return list(TimerGroup.objects.filter(name__in=wanted).values_list("id", flat=True)) if wanted else []


def _timer_ids(timer: str | None, groups: Collection[str] | None, group: str | None) -> list[int] | None:
    """Return the ids of the timers of that name, newest first: a name can be reused."""
    if timer is None:
        return None
    group_ids = _group_ids(groups, group)
    # By group and name, which an index serves.
    known = TimerGroup.objects.all() if group_ids is None else TimerGroup.objects.filter(id__in=group_ids)
    rows = Timer.objects.filter(group__in=known, name=timer)
    return list(rows.order_by("-id").values_list("id", flat=True)[:_MOST_TIMERS])
