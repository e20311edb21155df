"""Response models of orders."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from pydantic import BaseModel, Field

from timers.domain.payload import Unreadable
from timers.insights.one_order import OrderDetail, StepAttempt
from timers.insights.order_view import OrderView

_FIELDS: Final = (
    "group", "chain", "version", "name", "step", "state", "reason", "outcome", "branch_of", "branch", "priority",
    "attempts", "setbacks", "is_suspend_requested", "in_finally", "available_at", "deadline_at", "created_at",
    "changed_at", "ended_at", "node",
)  # fmt: skip


class OrderAnswer(BaseModel):
    """An order of a chain, or one of its branches or sub-chains, in one line."""

    id: str = Field(description="The execution's.")
    root: str = Field(description="The order that it belongs to in the end; its own id where it is that.")
    parent: str | None = Field(description="The order that began it as a branch or sub-chain.")
    group: str
    chain: str = Field(description="Empty when the chain has been deleted.")
    version: int | None = Field(description="Of the chain; null: it has not begun.")
    name: str = Field(description="Its timer's.")
    step: str
    state: str = Field(
        description="Not begun: pending (until it is started), scheduled, starting. On its way: ready, claimed, "
        "waiting, at_stopped, at_limit, locked, joining, suspended, awaiting. failed: it waits for a person. ended."
    )
    reason: str
    outcome: str = Field(description="succeeded, failed or cancelled, where it has ended.")
    branch_of: str | None = Field(description="The fork or map that began it.")
    branch: str | None = Field(description="The name of a fork's branch, or the index of a map's element.")
    priority: int
    attempts: int
    setbacks: int = Field(description="Retries at this step.")
    is_suspend_requested: bool = Field(description="It is suspended before its next step.")
    in_finally: bool
    available_at: datetime | None = Field(description="Until when it waits.")
    deadline_at: datetime | None
    created_at: datetime | None
    changed_at: datetime | None
    ended_at: datetime | None
    node: str = Field(description="Who runs its step.")


class OrderInFull(OrderAnswer):
    """An order with its variables."""

    variables: Any
    visits: Any = Field(description="How often it came to each step.")
    pending_outcome: Any = Field(description="What applies after the finally steps.")
    result: Any = Field(description="What a branch or sub-chain handed to its parent.")
    branches: dict[str, int] = Field(description="Branches and sub-chains that it began, by state or outcome.")


class StepAttemptAnswer(BaseModel):
    """One attempt of a step, or the end of the order."""

    step: str = Field(description="Empty: the order ended.")
    attempt: int
    outcome: str = Field(description="advanced: the step succeeded, and the order went on.")
    node: str
    worker: int | None
    started_at: datetime | None
    finished_at: datetime
    reason: str
    error: str
    result: Any = Field(description="What the step returned.")
    set_variables: tuple[str, ...] = Field(description="The variables that the order has since its end, by name.")
    changed_variables: tuple[str, ...] = Field(description="The variables that have another value since its end.")


def order_answer(view: OrderView) -> OrderAnswer:
    """Build the response of an order in a list."""
    return OrderAnswer.model_construct(**_facts(view))


def order_in_full(detail: OrderDetail) -> OrderInFull:
    """Build the response of one order."""
    return OrderInFull.model_construct(
        **_facts(detail.order), variables=_readable(detail.variables), visits=dict(detail.visits),
        pending_outcome=_readable(detail.pending), result=_readable(detail.result), branches=dict(detail.branches),
    )  # fmt: skip


def attempt_answer(row: StepAttempt) -> StepAttemptAnswer:
    """Build the response of one attempt."""
    told = {name: getattr(row, name) for name in StepAttemptAnswer.model_fields}
    return StepAttemptAnswer.model_construct(**{**told, "result": _readable(row.result)})


def _facts(view: OrderView) -> dict[str, Any]:
    return {
        "id": str(view.id), "root": str(view.root), "parent": None if view.parent is None else str(view.parent),
        **{name: getattr(view, name) for name in _FIELDS},
    }  # fmt: skip


def _readable(value: Any) -> Any:
    """Return the value itself, or its text if only the database can read it."""
    return str(value) if isinstance(value, Unreadable) else value
