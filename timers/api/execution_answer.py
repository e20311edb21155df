"""Response models of executions."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from pydantic import BaseModel, Field

from timers.domain.payload import Unreadable
from timers.insights.execution_view import ExecutionView
from timers.insights.one_execution import ExecutionDetail
from timers.models import Attempt

_FIELDS: Final = (
    "group", "timer", "state", "outcome", "origin", "scheduled_for", "attempt", "node", "worker", "claimed_at",
    "started_at", "finished_at", "lateness", "run_time", "missed_count", "available_at", "changed_at",
    "reason", "error", "fingerprint",
)  # fmt: skip
_TRIED: Final = (
    "attempt", "outcome", "node", "worker", "fence", "claimed_at", "started_at", "finished_at", "reason",
    "error_title", "error_detail", "log",
)  # fmt: skip


class ExecutionAnswer(BaseModel):
    """An execution in one line. In history, each attempt is a line of its own. Durations are in seconds."""

    id: str
    group: str = Field(description="Empty when the group is gone; history outlives it.")
    timer: str
    state: str = Field(
        description="Where the execution is now: claimed, ready, queued, failed; or how it ended: succeeded, failed, "
        "cancelled, skipped."
    )
    outcome: str = Field(description="In history: how this try, or the execution, ended. Empty for what has not ended.")
    origin: str
    scheduled_for: datetime
    attempt: int
    node: str
    worker: int | None
    claimed_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    lateness: float | None = Field(
        description="From the instant due to the start of the first try in a worker; null for what is pulled. Due is "
        "scheduled_for plus the timer's share of its present jitter. Of a timer that is gone, or whose jitter has "
        "become longer since, it is scheduled_for."
    )
    run_time: float | None
    missed_count: int
    available_at: datetime | None
    changed_at: datetime | None = Field(description="Since when it waits so; of a failed one: when it failed.")
    reason: str
    error: str
    fingerprint: str


class AttemptAnswer(BaseModel):
    """One attempt of an execution, or its final outcome."""

    attempt: int
    outcome: str
    node: str | None
    worker: int | None
    fence: int | None
    claimed_at: datetime | None
    started_at: datetime | None
    finished_at: datetime
    reason: str | None
    error_title: str | None
    error_detail: str | None
    log: str | None
    exchange: Any = Field(description="What an HTTP call sent and got.")


class ExecutionInFull(ExecutionAnswer):
    """An execution with its payload and all its attempts."""

    payload: Any
    payload_of: str = Field(description="execution, or timer: what the timer has now; empty when that is gone.")
    result: Any
    attempts: list[AttemptAnswer]


def execution_answer(view: ExecutionView) -> ExecutionAnswer:
    """Build the response of an execution in a list."""
    return ExecutionAnswer.model_construct(id=str(view.id), **{name: getattr(view, name) for name in _FIELDS})


def in_full(detail: ExecutionDetail) -> ExecutionInFull:
    """Build the response of one execution."""
    return ExecutionInFull.model_construct(
        **execution_answer(detail.execution).model_dump(),
        payload=_readable(detail.payload),
        payload_of=detail.payload_of,
        result=_readable(detail.result),
        attempts=[_attempt(row) for row in detail.attempts],
    )


def _attempt(row: Attempt) -> AttemptAnswer:
    told = {name: getattr(row, name) for name in _TRIED}
    return AttemptAnswer.model_construct(**told, exchange=_readable(row.exchange))


def _readable(value: Any) -> Any:
    """Return the value itself, or its text if only the database can read it."""
    return str(value) if isinstance(value, Unreadable) else value
