"""Recall: a change requests a worker to hold back executions that it has claimed and not started."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models


class Recall(models.Model):
    """One request to one worker process; it exists until the change has its answer (see engine/recall.py)."""

    id = models.BigAutoField(primary_key=True)
    node_id = models.IntegerField()
    worker_pid = models.PositiveIntegerField()
    token = models.IntegerField(help_text="Key of the advisory lock that the change holds until its transaction ends.")
    executions = ArrayField(models.UUIDField())
    held_back = ArrayField(
        models.UUIDField(), null=True, help_text="The answer: those that had not begun. Empty until there is one."
    )
    created_at = models.DateTimeField()

    class Meta:
        db_table = "timers_recall"

    def __str__(self) -> str:
        return f"recall {self.id}"
