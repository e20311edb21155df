"""DueTimer: the locked row of a timer whose instant has come, and the executions that are built from it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from django.db.models import Case, F, Q, TextField, Value, When
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast, Coalesce

from timers.actions import Action, parse_text
from timers.domain.execution_id import execution_id
from timers.domain.execution_id import parse as parse_id
from timers.domain.payload import decode, storable
from timers.domain.policies import Policies, overridden
from timers.engine.decide import Chosen, Due
from timers.engine.execution import Execution, Leading, ServedGroup
from timers.engine.group_lock import is_served_as_known
from timers.engine.queued import NONE_QUEUED, Queued
from timers.models import Timer
from timers.schedules.excluding import without_vain_move
from timers.schedules.instant import from_microseconds, to_microseconds
from timers.schedules.jitter import jitter_offset_us
from timers.schedules.limited import Memory, limited
from timers.schedules.zones import zone

_COSTLY: Final = Memory()
"""Results computed without a lock for decisions of this process."""


class DueTimer(NamedTuple):
    """A locked row. JSON columns are read as text, so each row is decoded separately and an invalid row fails alone."""

    id: int
    name: str
    kind: str
    schedule: str
    time_zone: str
    next_fire_at: datetime
    end_at: datetime | None
    max_fires: int | None
    fire_count: int
    jitter: float
    open_execution: Any
    until_committed: bool
    last_fire_at: datetime | None
    payload: str | None
    action: str | None
    overrides: str | None
    free_since: datetime | None
    state_changed_at: datetime | None
    tags: Sequence[str] = ()
    """Read only where the group has subscriptions, whose filters use them, or limits by key."""
    limit_key: str | None = None
    """Read only where the group limits by key."""

    @property
    def offset_us(self) -> int:
        """How long after its nominal instants the timer is due."""
        return jitter_offset_us(self.name, self.jitter) if self.jitter else 0

    @property
    def nominal_us(self) -> int:
        """The instant that has come, as the schedule gives it."""
        return to_microseconds(self.next_fire_at) - self.offset_us

    @property
    def waits_for_end(self) -> bool:
        """Whether the next instant is known only at the end of the execution."""
        return self.until_committed or self.kind == "fixed_delay"

    @property
    def follows(self) -> bool:
        """Whether the timer's row changes when its execution ends; a plain one-shot is finished by its fire."""
        return self.until_committed or self.kind != "once"

    @property
    def is_behind_backfill(self) -> bool:
        """Whether the open execution belongs to a backfill; the schedule has precedence over it."""
        return self.open_execution is not None and parse_id(str(self.open_execution)).origin == "backfill"

    def policies(self, group: ServedGroup) -> Policies:
        """Return the group's policies with the timer's overrides."""
        return group.policies if self.overrides is None else overridden(group.policies, self.overrides)

    def due(
        self,
        group: ServedGroup,
        policies: Policies,
        queued: Queued = NONE_QUEUED,
        unwanted: str = "",
        watched_since_us: int | None = None,
    ) -> Due:
        """Return the input of the decision; its schedule computes only as much as is allowed while the row is locked.

        Args:
            group: the timer's group.
            policies: the timer's policies.
            queued: number of fires queued behind the open execution.
            unwanted: why nothing should run; empty: it should.
            watched_since_us: since when this node looks at the group without a break (the group's clock); None: always.

        Raises:
            InvalidRequest: the schedule cannot be read.
        """
        resumed_us = self._resumed_us(group)
        return Due(
            schedule=limited(group.schedule(self.kind, self.schedule, self.time_zone, policies), _COSTLY),
            next_us=self.nominal_us,
            is_open=self.open_execution is not None,
            queued=queued.overlapping,
            made_up=queued.made_up,
            always_waits=not self.follows or self.is_behind_backfill,
            free_since_us=None if self.free_since is None else to_microseconds(self.free_since) - self.offset_us,
            watched_since_us=None if watched_since_us is None else watched_since_us - self.offset_us,
            resumed_us=None if resumed_us is None else resumed_us - self.offset_us,
            waits_for_end=self.waits_for_end,
            follows_runs=self.kind == "fixed_delay",
            end_us=None if self.end_at is None else to_microseconds(self.end_at),
            fires_left=None if self.max_fires is None else self.max_fires - self.fire_count,
            unwanted=unwanted,
        )

    def _resumed_us(self, group: ServedGroup) -> int | None:
        """Return when it or its group was last paused or resumed (us, group's clock); None if unknown."""
        if group.clock.frozen_us is not None:
            return None
        own_us = None if self.state_changed_at is None else to_microseconds(self.state_changed_at)
        changes = [each for each in (own_us, group.state_changed_us) if each is not None]
        return group.clock.at(max(changes)) if changes else None

    def reason_to_skip(self, reason: str) -> str:
        """Return the reason of a skipped instant for the ledger; `reason` is that of the decision."""
        due = from_microseconds(self.nominal_us)
        return without_vain_move(reason, due=due, last_fire=self.last_fire_at, end=self.end_at)

    def execution(self, group: ServedGroup, chosen: Chosen) -> Execution:
        """Return the execution of one of its instants; unreadable data marks it as poison, which fails alone."""
        poison = ""
        payload: Any = None
        action: Action | None = group.action
        policies = group.policies
        try:
            zone(self.time_zone)
            if self.payload is not None:
                payload = decode(self.payload)
            if self.action is not None:
                action = parse_text(self.action)
            policies = self.policies(group)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one row must not stop the batch
            poison = storable(str(error))
        return Execution(
            id=execution_id(chosen.instant_us, self.id),
            timer_id=self.id,
            group=group,
            name=self.name,
            scheduled_us=chosen.instant_us,
            available_us=chosen.instant_us + self.offset_us,
            attempt=1,
            payload=payload,
            action=action,
            policies=policies,
            time_zone=self.time_zone,
            missed_count=chosen.missed_count,
            schedule_kind=self.kind,
            schedule_text=self.schedule,
            follows=self.follows,
            until_committed=self.until_committed,
            limit_key=self.limit_key,
            poison=poison,
        )


def handler_of(group: ServedGroup, column: str) -> Case:
    """Return a query expression for the handler of a timer's own or its group's action; empty without one.

    Subscriptions replace the group's action; which of them a node can serve is checked for each separately.
    """
    of_group = "" if group.subscribers else group.handler
    own = Coalesce(KeyTextTransform("handler", column), Value(""), output_field=TextField())
    return Case(When(**{f"{column}__isnull": True}, then=Value(of_group)), default=own, output_field=TextField())


def lock_due(
    group: ServedGroup,
    shard: int,
    priority: int,
    *,
    now_us: int,
    horizon_us: int,
    limit: int,
    low_us: int | None = None,
    leave: Collection[str] = (),
    ids: Sequence[int] | None = None,
    leading: Leading | None = None,
) -> list[DueTimer]:
    """Lock up to `limit` timers that are due at or before the horizon, earliest first, for fire.fire_due.

    Returns nothing where the group has changed since it was read, or is being changed.

    Args:
        group: the group.
        shard: a shard of its timers.
        priority: a priority of its timers.
        now_us: microseconds by the group's clock.
        horizon_us: microseconds by the group's clock.
        limit: number of timers.
        low_us: lower bound of the instants; None: there is none.
        leave: handlers whose timers are left.
        ids: lock only these timers; None: any.
        leading: the leadership without which nothing is returned.
    """
    due = Timer.objects.filter(
        is_served_as_known(group, leading),
        Q(open_execution=None) | Q(next_fire_at__lte=from_microseconds(now_us)),
        group_id=group.id,
        shard=shard,
        priority=priority,
        state=Timer.State.ACTIVE,
        next_fire_at__lte=from_microseconds(horizon_us),
    )
    if ids is not None:
        due = due.filter(id__in=ids)
    if low_us is not None:
        due = due.filter(next_fire_at__gte=from_microseconds(low_us))
    if leave:
        due = due.annotate(handler_name=handler_of(group, "action")).exclude(handler_name__in=list(leave))
    also = ("tags", "limit_key") if group.limits.is_keyed else ("tags",) if group.subscribers else ()
    rows = (
        due.order_by("next_fire_at")
        .select_for_update(skip_locked=True, no_key=True)
        .values_list(
            "id",
            "name",
            "schedule_kind",
            Cast("schedule", TextField()),
            "time_zone",
            "next_fire_at",
            "end_at",
            "max_fires",
            "fire_count",
            "jitter",
            "open_execution",
            "until_committed",
            "last_fire_at",
            Cast(F("payload"), TextField()),
            Cast(F("action"), TextField()),
            Cast(F("overrides"), TextField()),
            "free_since",
            "state_changed_at",
            *also,
        )[:limit]
    )
    return [DueTimer(*row) for row in rows]
