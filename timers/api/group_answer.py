"""Request and response models of groups."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from timers.models import TimerGroup


class GroupAnswer(BaseModel):
    """A group: timers that share policies. Durations are in seconds."""

    model_config = ConfigDict(from_attributes=True)

    name: str
    description: str
    partition: str
    state: Literal["active", "paused"]
    state_reason: str
    paused_until: datetime | None
    priority: int
    shards: int
    required_roles: list[str]
    placement: Literal["distributed", "lead"] = Field(
        description="Which nodes fire it: all that serve it, or only the leader of its partition."
    )
    action: Any = Field(description="What a fire does when the timer does not say.")
    retry: Any
    misfire_policy: str
    misfire_grace: float
    max_lateness: float | None
    max_catchup: int
    overlap_policy: str
    max_queued: int
    retry_blocks: bool
    pause_after_failures: int
    exclusion_calendars: list[str]
    on_excluded: str
    max_batch: int
    attempt_timeout: float
    on_failed: str
    on_finish: str
    retention: int | None
    max_timers: int | None
    max_payload_bytes: int | None
    min_interval: float | None
    max_concurrency: int | None = Field(description="The most executions that are claimed at once, over all nodes.")
    max_rate: str | None = Field(description="The most executions that start in a period, over all nodes.")
    concurrency_key: str | None = Field(description="Where payloads have the key that is limited by.")
    max_concurrency_per_key: int | None
    max_rate_per_key: str | None
    sandbox: bool
    version: int
    created_at: datetime
    updated_at: datetime
    in_flight: list[str] = Field(
        default=[], description="Of a pause or change: claimed executions that it came too late for."
    )

    @classmethod
    def of(cls, group: TimerGroup) -> GroupAnswer:
        """Build the response from a group's row."""
        return cls.model_validate(group)
