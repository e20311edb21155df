"""One order with all details, in any state: not yet begun, in progress, or ended; and its history."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from timers.domain.execution_id import MAX_TRIES, execution_id
from timers.domain.execution_id import parse as parse_id
from timers.insights.one_execution import one as one_execution
from timers.insights.order_view import OrderView, missing_order, order_views
from timers.insights.orders import count_by_state
from timers.models import Attempt, ChainOrder, Timer
from timers.models.timer_rows import timer_of_id
from timers.schedules.instant import to_microseconds

STARTING: Final = "starting"
"""Its timer has fired; no node has begun it yet."""
SCHEDULED: Final = "scheduled"
"""Its timer will fire."""
PENDING: Final = "pending"
"""Its timer is paused: the order begins when it is started."""


@dataclass(frozen=True, slots=True)
class OrderDetail:
    """An order with all details."""

    order: OrderView
    variables: Any = None
    """Its own variables; a branch also sees those of its parents."""
    visits: Mapping[str, int] = field(default_factory=dict)
    """Number of visits to each step."""
    pending: Any = None
    """Outcome that applies after the finally steps."""
    result: Any = None
    """What a branch or sub-chain returned to its parent."""
    branches: Mapping[str, int] = field(default_factory=dict)
    """Numbers of branches and sub-chains that it began, by state; ended ones by outcome."""


@dataclass(frozen=True, slots=True)
class StepAttempt:
    """One attempt of a step, or the end of the order (with an empty step)."""

    step: str
    attempt: int
    outcome: str
    """One of: advanced (the step succeeded, and the order continued); error, timeout, lost ...; the order's outcome."""
    node: str
    worker: int | None
    started_at: datetime | None
    finished_at: datetime
    reason: str
    error: str
    """The first 500 characters of the error."""
    result: Any
    """Return value of the step."""
    set_variables: tuple[str, ...] = ()
    """Names of the variables that the attempt created."""
    changed_variables: tuple[str, ...] = ()
    """Names of the variables whose values the attempt changed."""


def one_order(order: UUID | str) -> OrderDetail | None:
    """Return the order; None if there is none, or its history is deleted."""
    found = UUID(str(order))
    rows = ChainOrder.objects.filter(id=found).values_list("variables", "visits", "pending", "result")
    kept = rows.first()
    if kept is None:
        return _not_begun(found)
    views = order_views([found])
    return OrderDetail(views[0], *kept, branches=count_by_state(found)) if views else None


def history(order: UUID | str, *, after: int = 0, limit: int = 1_100) -> list[StepAttempt]:
    """Return the history of an order, oldest first: a row for each attempt of a step, and the end.

    Args:
        order: Its id; branches and sub-chains have their own histories.
        after: Start after the attempt with this number.
        limit: Maximum number of rows; an order has at most 1,024.
    """
    found = UUID(str(order))
    if after > MAX_TRIES:
        return []
    rows = list(
        Attempt.objects.filter(id__gt=UUID(int=found.int | after), id__lte=UUID(int=found.int | MAX_TRIES)).order_by(
            "id"
        )[:limit]
    )
    if len(rows) < limit:
        rows += Attempt.objects.filter(id=found)
    return [_attempt(row) for row in rows]


def group_of_order(order: str) -> str | None:
    """Return the name of the group of an order; None if the id is not an order's."""
    try:
        asked = UUID(order)
    except ValueError:
        return None
    if str(asked) != order or asked.int & MAX_TRIES:
        return None
    found: str | None = ChainOrder.objects.filter(id=asked).values_list("group__name", flat=True).first()
    if found is None:
        detail = _not_begun(asked)
        found = None if detail is None else detail.order.group
    return found


def _attempt(row: Attempt) -> StepAttempt:
    names = row.variables if isinstance(row.variables, dict) else {}
    return StepAttempt(
        step=row.step or "", attempt=row.attempt, outcome=row.outcome, node=row.node or "", worker=row.worker,
        started_at=row.started_at, finished_at=row.finished_at, reason=row.reason or "",
        error=(row.error_title or "")[:500], result=row.result,
        set_variables=tuple(names.get("set", ())), changed_variables=tuple(names.get("changed", ())),
    )  # fmt: skip


def _not_begun(order: UUID) -> OrderDetail | None:
    """Return the order that a timer will begin, or one that ended before it began."""
    meant = parse_id(str(order))
    found = timer_of_id(meant.timer_id)
    if found is None:
        return None
    timer, _ = found
    chain = chain_of(timer)
    if not chain:
        return None
    whose = {"group": timer.group.name, "group_id": timer.group_id, "chain": chain, "timer_id": timer.id}
    common = {"id": order, "root": order, "name": timer.name, "created_at": timer.created_at, **whose}
    execution = one_execution(order)
    if execution is not None:
        view = execution.execution
        is_over = view.state not in ("claimed", "ready", "queued")
        told = {"reason": view.error or view.reason, "ended_at": view.finished_at, "available_at": view.available_at}
        state = ("failed" if view.finished_at is None else "ended") if is_over else STARTING
        outcome = view.state if is_over and view.finished_at is not None else ""
        return OrderDetail(missing_order(**common, state=state, outcome=outcome, **told), execution.payload)
    if timer.next_fire_at is None or next_order(timer) != str(order):
        return None
    state = PENDING if timer.state == Timer.State.PAUSED else SCHEDULED
    scheduled = missing_order(
        **common, state=state, available_at=timer.next_fire_at, reason=timer.state_reason, priority=timer.priority
    )
    return OrderDetail(scheduled, timer.payload)


def next_order(timer: Timer) -> str | None:
    """Return the id of the order that the timer's next fire begins; None without a next fire or with jitter."""
    if timer.next_fire_at is None or timer.jitter:
        return None
    return execution_id(to_microseconds(timer.next_fire_at), timer.id)


def chain_of(timer: Timer) -> str:
    """Return the chain that a timer's action names; empty if it has another action."""
    action = timer.action if timer.action is not None else timer.group.action
    name = action.get("chain") if isinstance(action, dict) and action.get("kind") == "chain" else None
    return name if isinstance(name, str) else ""
