"""Response models of chains and their steps."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from timers.insights.chains import ChainView, StepCounts, StepView
from timers.insights.step_durations import StepDuration


class OrdersCount(BaseModel):
    """Numbers of orders that have not ended, including branches and sub-chains."""

    total: int
    at_least: bool = Field(description="There are more than were counted.")
    states: dict[str, int] = Field(description="By their state.")

    @classmethod
    def of(cls, counts: StepCounts) -> OrdersCount:
        """Build the response from counts."""
        return cls(total=counts.total.value, at_least=counts.is_capped, states=dict(counts.states))


class ChainAnswer(BaseModel):
    """A chain: a graph of steps that orders pass through."""

    name: str
    group: str
    state: Literal["active", "stopped"]
    state_reason: str
    state_changed_by: str
    state_changed_at: datetime | None
    version: int = Field(description="The newest, which new orders take.")
    source: str = Field(description="What declares it: code, or file: and a name. Empty: it was not declared.")
    owner: str = Field(description="The program that declares it.")
    declared_version: int | None = Field(description="The version that was declared last; null: not declared any more.")
    orders: OrdersCount
    stopped_steps: list[str]
    skipped_steps: list[str]
    created_at: datetime
    created_by: str
    updated_at: datetime
    updated_by: str

    @classmethod
    def of(cls, view: ChainView) -> ChainAnswer:
        """Build the response from a chain."""
        return cls(**_facts(view))


class ChainInFull(ChainAnswer):
    """A chain with the definition of its newest version."""

    definition: Any

    @classmethod
    def with_definition(cls, view: ChainView, definition: Any) -> ChainInFull:
        """Build the response from a chain and its definition."""
        return cls(**_facts(view), definition=definition)


def _facts(view: ChainView) -> dict[str, Any]:
    row = view.row
    return {
        "name": row.name, "group": view.group, "state": row.state, "state_reason": row.state_reason,
        "state_changed_by": row.state_changed_by, "state_changed_at": row.state_changed_at, "version": row.newest,
        "source": row.source, "owner": row.owner, "declared_version": row.declared_version,
        "orders": OrdersCount.of(view.orders), "stopped_steps": list(view.stopped),
        "skipped_steps": list(view.skipped), "created_at": row.created_at, "created_by": row.created_by,
        "updated_at": row.updated_at, "updated_by": row.updated_by,
    }  # fmt: skip


class DurationAnswer(BaseModel):
    """Run times of the latest successful runs of a step, in seconds."""

    runs: int
    p50: float
    p95: float


class StepAnswer(BaseModel):
    """A step of a chain."""

    name: str
    kind: str = Field(description="Empty: of an older version only, at which orders still are.")
    words: str
    state: Literal["active", "stopped", "skipped"]
    state_reason: str
    state_changed_by: str
    state_changed_at: datetime | None
    orders: OrdersCount
    duration: DurationAnswer | None = Field(description="null: it did not run lately.")

    @classmethod
    def of(cls, view: StepView, duration: StepDuration | None) -> StepAnswer:
        """Build the response from a step."""
        return cls(
            name=view.name, kind=view.kind, words=view.words, state=view.state,  # type: ignore[arg-type]
            state_reason=view.state_reason, state_changed_by=view.state_changed_by,
            state_changed_at=view.state_changed_at, orders=OrdersCount.of(view.orders),
            duration=None
            if duration is None
            else DurationAnswer(runs=duration.runs, p50=duration.p50, p95=duration.p95),
        )  # fmt: skip


class StepsAnswer(BaseModel):
    """The steps of a chain, in the order of the definition."""

    items: list[StepAnswer]


class StepStateAnswer(BaseModel):
    """The state of a step."""

    name: str
    state: Literal["active", "stopped", "skipped"]
    state_reason: str
    state_changed_by: str
    state_changed_at: datetime | None


class VersionAnswer(BaseModel):
    """One version of a chain."""

    version: int
    created_at: datetime
    created_by: str


class VersionInFull(VersionAnswer):
    """One version of a chain with its definition."""

    definition: Any


class ChangeAnswer(BaseModel):
    """One field or step that differs."""

    kind: Literal["added", "removed", "changed"]
    step: str | None = Field(description="null: a field of the chain itself.")
    path: list[str]
    words: str
    before: Any = None
    after: Any = None


class DiffAnswer(BaseModel):
    """The changes between two versions."""

    before: int
    after: int
    changes: list[ChangeAnswer]


class PictureAnswer(BaseModel):
    """The picture of a chain: boxes and edges with positions in pixels, and the same as text and as SVG."""

    width: int
    height: int
    nodes: list[Any]
    edges: list[Any]
    text: str
    svg: str
