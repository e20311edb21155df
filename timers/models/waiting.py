"""Waiting: executions that must be claimed (again), and failed ones that wait for a person."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models

from timers.domain.execution_id import ORIGINS
from timers.domain.limit_keys import MAX_KEY
from timers.models.fields import ExactJSONField
from timers.models.group import NAME_LENGTH, TimerGroup
from timers.models.timer import Timer


class Waiting(models.Model):
    """One execution that is not claimed: a retry, a manual run, a released, rescued or failed one."""

    class State(models.TextChoices):
        READY = "ready"
        QUEUED = "queued"
        FAILED = "failed"
        BLOCKED = "blocked"

    id = models.UUIDField(primary_key=True)
    group = models.ForeignKey(TimerGroup, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False)
    # Nullable only for the join: the timer may have been deleted.
    timer = models.ForeignKey(Timer, on_delete=models.DO_NOTHING, db_constraint=False, null=True)
    name = models.CharField(max_length=NAME_LENGTH)
    state = models.CharField(max_length=10, choices=State)
    available_at = models.DateTimeField()
    attempt = models.PositiveSmallIntegerField(default=0, help_text="Tries so far.")
    forgiven = models.PositiveSmallIntegerField(
        default=0, help_text="Tries that the retry policy does not count: snoozes, and those before a person's retry."
    )
    snoozes = models.PositiveIntegerField(
        default=0, db_default=0, editable=False, help_text="How often it has been snoozed since its latest other try."
    )
    missed_count = models.PositiveIntegerField(default=0)
    payload = ExactJSONField(null=True, blank=True, help_text="Empty: the timer's.")
    origin = models.CharField(max_length=10, choices=[(origin, origin) for origin in ORIGINS], default="schedule")
    reason = models.TextField(blank=True, default="")
    subscription = models.PositiveSmallIntegerField(
        default=0,
        db_default=0,
        editable=False,
        help_text="The ordinal of the subscription that it is for; 0: of none.",
    )
    step = models.CharField(
        max_length=NAME_LENGTH, null=True, editable=False, help_text="Of an order of a chain: the step that it is at."
    )
    handler = models.TextField(
        null=True, editable=False, help_text="The handler that the step calls, where it calls one."
    )
    required_roles = ArrayField(
        models.CharField(max_length=NAME_LENGTH), null=True, editable=False, help_text="Roles that the step requires."
    )
    blocked_on = models.CharField(
        max_length=3 * NAME_LENGTH, null=True, editable=False, help_text="The lock or limit that it waits for."
    )
    blocked_capacity = models.PositiveIntegerField(null=True, editable=False)
    priority = models.SmallIntegerField(
        default=0, db_default=0, editable=False, help_text="Of an order of a chain: higher ones are claimed first."
    )
    limit_key = models.CharField(
        max_length=MAX_KEY,
        null=True,
        editable=False,
        help_text="The limit key of its timer, by which it is found; NULL: its group does not limit by key.",
    )
    error_title = models.TextField(blank=True, default="")
    error_fingerprint = models.CharField(max_length=32, null=True)
    entry = models.BigIntegerField(
        db_default=models.Func(models.Value("timers_waiting_entry"), function="nextval"),
        editable=False,
        help_text="Rises with each row that comes to wait: tells what was there before from what came after, whatever"
        " the clocks say.",
    )
    created_at = models.DateTimeField()
    changed_at = models.DateTimeField(help_text="By the database's clock, of sandboxes too.")

    class Meta:
        db_table = "timers_waiting"
        verbose_name_plural = "waiting"
        constraints = (
            models.CheckConstraint(
                condition=models.Q(state__in=["ready", "queued", "failed", "blocked"]), name="timers_waiting_state"
            ),
        )
        indexes = (
            models.Index(
                fields=("blocked_on", "-priority", "available_at"),
                condition=models.Q(blocked_on__isnull=False),
                name="timers_waiting_blocked_first",
            ),
            models.Index(
                fields=("group", "subscription", "available_at"),
                condition=models.Q(state="ready"),
                name="timers_waiting_ready_for",
            ),
            # It contains only orders with a priority.
            models.Index(
                fields=("group", "subscription", "-priority", "available_at"),
                condition=models.Q(state="ready") & ~models.Q(priority=0),
                name="timers_waiting_ready_first",
            ),
            # It contains only executions of groups that limit by key.
            models.Index(
                fields=("group", "subscription", "limit_key", "available_at"),
                condition=models.Q(state="ready", limit_key__isnull=False),
                name="timers_waiting_ready_of_key",
            ),
            models.Index(fields=("timer", "id"), condition=models.Q(state="queued"), name="timers_waiting_queued"),
            models.Index(
                fields=("error_fingerprint", "group", "entry"),
                condition=models.Q(state="failed"),
                name="timers_waiting_failed_as",
            ),
            models.Index(fields=("entry",), condition=models.Q(state="failed"), name="timers_waiting_failed_entry"),
            models.Index(
                fields=("group", "id"), condition=models.Q(state="failed"), name="timers_waiting_failed_group"
            ),
        )

    def __str__(self) -> str:
        return f"{self.name} ({self.state})"
