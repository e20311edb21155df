"""Subscription: one of several receivers of a group's timers."""

from __future__ import annotations

from django.db import models

from timers.models.fields import ExactJSONField
from timers.models.group import NAME_LENGTH, TimerGroup
from timers.models.in_flight import InFlight

MAX_SUBSCRIPTIONS = 255
"""Maximum per group, including deleted ones that are still stored: the ordinals that fit in an execution id."""

MAX_PARKED = 1000
"""Maximum number of executions that wait for one paused subscription; further occurrences are skipped for it."""


class Subscription(InFlight, models.Model):
    """A receiver of a group's timers, with its own action, filter and retry policy.

    `ordinal` separates its executions from those of others (see timers/domain/execution_id.py). The row of a deleted
    subscription is kept, so that history can name it, and no other gets its ordinal while there is a free one.
    """

    class Mode(models.TextChoices):
        QUEUE = "queue"
        BROADCAST = "broadcast"

    class State(models.TextChoices):
        ACTIVE = "active"
        PAUSED = "paused"
        DELETED = "deleted"

    group = models.ForeignKey(TimerGroup, on_delete=models.CASCADE, related_name="subscriptions", db_index=False)
    name = models.CharField(max_length=NAME_LENGTH)
    description = models.TextField(blank=True, default="")
    ordinal = models.PositiveSmallIntegerField(editable=False)
    mode = models.CharField(
        max_length=10,
        choices=Mode,
        default=Mode.QUEUE,
        help_text="queue: each execution goes to one of the group's queue subscriptions; broadcast: this one gets an"
        " execution of its own for each occurrence.",
    )
    action = ExactJSONField(help_text='What is done, e.g. {"handler": "mails.send"}, {"kind": "pull"}.')
    filter = ExactJSONField(
        null=True,
        blank=True,
        help_text='Which timers it is for: {"tags": {"any": ["eu"]}, "payload": {"kind": "invoice"}}; empty: all.',
    )
    retry = ExactJSONField(null=True, blank=True, help_text="Its own retry policy; empty: the timer's or the group's.")
    state = models.CharField(max_length=10, choices=State, default=State.ACTIVE, editable=False)
    state_reason = models.TextField(blank=True, default="", editable=False)
    state_changed_by = models.CharField(max_length=NAME_LENGTH, blank=True, default="", editable=False)
    state_changed_at = models.DateTimeField(null=True, blank=True, editable=False)
    version = models.PositiveIntegerField(default=1, editable=False)
    created_at = models.DateTimeField(editable=False)
    updated_at = models.DateTimeField(editable=False)
    updated_by = models.CharField(max_length=NAME_LENGTH, blank=True, default="", editable=False)

    class Meta:
        db_table = "timers_subscription"
        ordering = ("group", "name")
        constraints = (
            models.UniqueConstraint(
                fields=("group", "name"),
                condition=~models.Q(state="deleted"),
                name="timers_subscription_name",
            ),
            models.UniqueConstraint(fields=("group", "ordinal"), name="timers_subscription_ordinal"),
            models.CheckConstraint(
                condition=models.Q(ordinal__gte=1, ordinal__lte=MAX_SUBSCRIPTIONS),
                name="timers_subscription_ordinal_fits",
            ),
            models.CheckConstraint(
                condition=models.Q(state__in=["active", "paused", "deleted"]), name="timers_subscription_state"
            ),
            models.CheckConstraint(
                condition=models.Q(mode__in=["queue", "broadcast"]), name="timers_subscription_mode"
            ),
        )

    def __str__(self) -> str:
        return self.name
