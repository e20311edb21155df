"""BulkOperation: a request to retry or dismiss many failed executions, and its progress."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models

from timers.models.fields import ExactJSONField
from timers.models.group import NAME_LENGTH


class BulkOperation(models.Model):
    """Retry or dismiss the failed executions that matched a filter at the time of the request.

    It runs in the background, chunk by chunk in the order in which the executions failed: see engine/operations.py.
    """

    class Verb(models.TextChoices):
        RETRY = "retry"
        DISMISS = "dismiss"

    class State(models.TextChoices):
        RUNNING = "running"
        PAUSED = "paused"
        DONE = "done"
        CANCELLED = "cancelled"

    ENDED = (State.DONE, State.CANCELLED)

    id = models.BigAutoField(primary_key=True)
    verb = models.CharField(max_length=10, choices=Verb)
    filter = ExactJSONField(default=dict, help_text="What was asked for, as it was given.")
    groups = ArrayField(
        models.CharField(max_length=NAME_LENGTH), null=True, help_text="The groups that it may touch; empty: all."
    )
    group_ids = ArrayField(
        models.BigIntegerField(),
        null=True,
        help_text="Their identities: a later group of such a name is not touched.",
    )
    reason = models.TextField(blank=True, default="")
    pace = models.FloatField(null=True, help_text="At most so many executions a second; empty: as fast as it goes.")
    state = models.CharField(max_length=10, choices=State, default=State.RUNNING)
    state_reason = models.TextField(blank=True, default="")
    total = models.PositiveBigIntegerField(help_text="Executions that met the filter at the moment of asking.")
    done = models.PositiveBigIntegerField(default=0)
    refused = models.PositiveBigIntegerField(default=0, help_text="Executions that cannot be retried.")
    refusals = ExactJSONField(default=list, help_text="The first few of these, each with its reason.")
    frozen_entry = models.BigIntegerField(help_text="What came to wait after this entry is not touched.")
    cursor = models.BigIntegerField(default=0, help_text="All entries up to this one have been dealt with.")
    next_at = models.DateTimeField(help_text="The instant of the next execution, by the pace.")
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=NAME_LENGTH, blank=True, default="")
    ended_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "timers_bulk_operation"
        ordering = ("-id",)
        constraints = (
            models.CheckConstraint(condition=models.Q(verb__in=["retry", "dismiss"]), name="timers_operation_verb"),
            models.CheckConstraint(
                condition=models.Q(state__in=["running", "paused", "done", "cancelled"]), name="timers_operation_state"
            ),
            models.CheckConstraint(
                condition=models.Q(state__in=["done", "cancelled"], ended_at__isnull=False)
                | models.Q(state__in=["running", "paused"], ended_at=None),
                name="timers_operation_ended",
            ),
        )
        indexes = (
            models.Index(fields=("next_at",), condition=models.Q(state="running"), name="timers_operation_running"),
        )

    def __str__(self) -> str:
        return f"{self.verb} of {self.total:,} ({self.state})"
