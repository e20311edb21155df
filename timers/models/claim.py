"""Claim: what a worker has claimed right now. The present tense."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models

from timers.domain.limit_keys import MAX_KEY
from timers.models.fields import ExactJSONField
from timers.models.group import NAME_LENGTH, TimerGroup
from timers.models.node import Node


class Claim(models.Model):
    """A batch of executions claimed by one worker of one node, or by one consumer. Its id is the fence.

    The id rises with each new claim of an execution, and only an existing claim can finish its executions. `executions`
    has exactly those that are still claimed; `details` describes those that are not plain first attempts (see
    engine/execution.py).
    """

    id = models.BigAutoField(primary_key=True)
    group = models.ForeignKey(TimerGroup, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False)
    node = models.ForeignKey(Node, on_delete=models.DO_NOTHING, db_constraint=False, null=True)
    worker = models.PositiveSmallIntegerField(null=True)
    worker_pid = models.PositiveIntegerField(null=True)
    consumer = models.CharField(max_length=NAME_LENGTH, null=True, help_text="Who pulled it; empty: a worker's claim.")
    claimed_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True, help_text="A consumer's lease ends here; it is shown again then.")
    executions = ArrayField(models.UUIDField())
    details = ExactJSONField(null=True)
    limit_key = models.CharField(
        max_length=MAX_KEY, null=True, help_text="The key of all its executions, where their group limits by key."
    )
    revoked = ArrayField(
        models.UUIDField(), null=True, help_text="Executions that the holder is asked to cancel, begun or not."
    )
    revoke_reasons = models.JSONField(null=True, help_text="Why, by execution.")

    class Meta:
        db_table = "timers_claim"
        constraints = (
            models.CheckConstraint(
                condition=models.Q(node__isnull=False, consumer=None, expires_at=None)
                | models.Q(node=None, consumer__isnull=False, expires_at__isnull=False),
                name="timers_claim_worker_or_consumer",
            ),
        )
        indexes = (
            models.Index(
                fields=("expires_at",), condition=models.Q(expires_at__isnull=False), name="timers_claim_expires"
            ),
        )

    def __str__(self) -> str:
        return f"claim {self.id}"
