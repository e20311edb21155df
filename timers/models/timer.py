"""Timer: a named payload, a schedule and the next instant. The future tense."""

from __future__ import annotations

from datetime import timedelta

from django.contrib.postgres.fields import ArrayField
from django.db import models

from timers.domain.execution_id import MAX_TIMER_ID
from timers.domain.limit_keys import MAX_KEY
from timers.domain.policies import Policies
from timers.models.fields import ExactJSONField
from timers.models.group import NAME_LENGTH, TimerGroup
from timers.models.in_flight import InFlight
from timers.schedules.jitter import jitter_offset_us


class TimerQuerySet(models.QuerySet["Timer"]):
    """Queries for timers."""

    def named(self, group: str, name: str) -> TimerQuerySet:
        """Return the timers of that name in the group: the active or paused one, then ended ones, newest first."""
        ended = models.Case(models.When(state__in=["active", "paused"], then=0), default=1)
        return self.filter(group__name=group, name=name).order_by(ended, "-id")


class Timer(InFlight, models.Model):
    """A named payload, a schedule and policies in a group; long-lived.

    `next_fire_at` represents the schedule for the engine: it looks up due timers in the index and computes nothing
    else.
    """

    class State(models.TextChoices):
        ACTIVE = "active"
        PAUSED = "paused"
        FINISHED = "finished"
        CANCELLED = "cancelled"

    id = models.BigAutoField(primary_key=True)
    group = models.ForeignKey(TimerGroup, on_delete=models.PROTECT, related_name="timers", db_index=False)
    name = models.CharField(max_length=NAME_LENGTH)
    description = models.TextField(blank=True, default="")
    tags = ArrayField(models.CharField(max_length=NAME_LENGTH), default=list, blank=True)

    schedule_kind = models.CharField(max_length=20)
    schedule = ExactJSONField()
    time_zone = models.CharField(max_length=64, default="UTC")
    start_at = models.DateTimeField(null=True, blank=True)
    end_at = models.DateTimeField(null=True, blank=True, help_text="No fire after this instant.")
    max_fires = models.PositiveIntegerField(null=True, blank=True, help_text="Finished after so many fires.")
    jitter = models.FloatField(
        default=0, help_text="Seconds over which timers of one instant are spread; each has its own, lasting share."
    )
    priority = models.SmallIntegerField(
        default=0, help_text="Timers of the group with a higher number are fired first when workers are short."
    )
    until_committed = models.BooleanField(
        default=False, help_text="One execution, shown again at each tick of the schedule until it is committed."
    )

    payload = ExactJSONField(null=True, blank=True)
    action = ExactJSONField(null=True, blank=True, help_text="Empty: the group's.")
    overrides = ExactJSONField(null=True, blank=True, help_text="Policies of the group that this timer replaces.")

    concurrency_key = models.CharField(
        max_length=MAX_KEY,
        null=True,
        blank=True,
        help_text="Whose executions are limited together where the group limits by key; empty: what the group's path"
        " finds in the payload.",
    )
    limit_key = models.CharField(
        max_length=MAX_KEY,
        null=True,
        editable=False,
        help_text="The key that limits count it under; NULL: its group does not limit by key.",
    )

    state = models.CharField(max_length=10, choices=State, default=State.ACTIVE)
    state_reason = models.TextField(blank=True, default="")
    state_changed_by = models.CharField(max_length=NAME_LENGTH, blank=True, default="")
    state_changed_at = models.DateTimeField(null=True, blank=True)
    paused_until = models.DateTimeField(null=True, blank=True, help_text="Resumed by itself at this instant.")
    next_fire_at = models.DateTimeField(null=True, blank=True)
    last_fire_at = models.DateTimeField(null=True, blank=True)
    fire_count = models.PositiveBigIntegerField(default=0)
    open_execution = models.UUIDField(
        null=True, blank=True, help_text="The execution that the next fire must wait for or be skipped for."
    )
    free_since = models.DateTimeField(
        null=True,
        editable=False,
        help_text="When its latest execution ended: what came due before found that one open.",
    )
    last_outcome = models.CharField(max_length=10, blank=True, default="")
    failures_in_a_row = models.PositiveIntegerField(default=0)

    source = models.CharField(
        max_length=NAME_LENGTH,
        blank=True,
        default="",
        help_text="Where the timer is declared (code, a file); empty: nowhere.",
    )
    # A database default, because timers that are not declared are created without this column.
    owner = models.CharField(
        max_length=NAME_LENGTH,
        blank=True,
        default="",
        db_default="",
        help_text="The program that declares the timer; empty: none, or one from before programs had names.",
    )
    declared = ExactJSONField(null=True, blank=True, help_text="What was declared there when it was last reconciled.")
    shard = models.PositiveSmallIntegerField(default=0)
    version = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=NAME_LENGTH, blank=True, default="")
    updated_at = models.DateTimeField()
    updated_by = models.CharField(max_length=NAME_LENGTH, blank=True, default="")

    objects = TimerQuerySet.as_manager()

    class Meta:
        db_table = "timers_timer"
        constraints = (
            # A name is free again when its timer is finished or cancelled; the old row stays unchanged.
            models.UniqueConstraint(
                fields=("group", "name"), condition=models.Q(state__in=["active", "paused"]), name="timers_timer_name"
            ),
            models.CheckConstraint(
                condition=models.Q(state__in=["active", "paused", "finished", "cancelled"]), name="timers_timer_state"
            ),
            models.CheckConstraint(condition=models.Q(id__lte=MAX_TIMER_ID), name="timers_timer_id_fits"),
            # An error in the computation of a fire would otherwise make an active timer that never fires, unnoticed.
            models.CheckConstraint(
                condition=~models.Q(state="active", next_fire_at=None, open_execution=None),
                name="timers_timer_active_has_next",
            ),
        )
        indexes = (
            models.Index(fields=("group", "name"), name="timers_timer_group_name"),
            models.Index(
                fields=("group", "shard", "priority", "next_fire_at"),
                condition=models.Q(state="active"),
                name="timers_timer_due",
            ),
            # It contains only timers of groups that limit by key.
            models.Index(
                fields=("group", "shard", "priority", "limit_key", "next_fire_at"),
                condition=models.Q(state="active", limit_key__isnull=False),
                name="timers_timer_due_of_key",
            ),
            models.Index(
                fields=("paused_until",),
                condition=models.Q(state="paused", paused_until__isnull=False),
                name="timers_timer_paused_until",
            ),
            models.Index(fields=("source",), condition=~models.Q(source=""), name="timers_timer_source"),
        )

    def __str__(self) -> str:
        return self.name

    def policies(self) -> Policies:
        """Return the group's policies with the timer's overrides.

        Raises:
            InvalidRequest: a column has an invalid value.
        """
        of_group = self.group.policies()
        return of_group.with_overrides(self.overrides) if self.overrides else of_group

    def set_finished(self) -> None:
        """Mark the timer as finished; the reason and the end of a pause no longer matter."""
        self.next_fire_at = self.paused_until = None
        self.state, self.state_reason = Timer.State.FINISHED, ""

    @property
    def offset(self) -> timedelta:
        """How long after its nominal instants the timer is due: its jitter."""
        return timedelta(microseconds=jitter_offset_us(self.name, self.jitter))
