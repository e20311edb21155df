"""KeptAnswer: the stored response to an idempotent request."""

from __future__ import annotations

from django.db import models


class KeptAnswer(models.Model):
    """The response for one Idempotency-Key of one caller; written in the transaction of the work.

    The status is 0 until then. A request that is carried out in parts has a row while it is under way: `body` is its
    plan, `headers` its progress (engine/resumable.py).
    """

    caller = models.CharField(max_length=200)
    key = models.CharField(max_length=200)
    group = models.CharField(
        max_length=200, blank=True, default="", db_default="", help_text="The group that the address names."
    )
    fingerprint = models.CharField(max_length=64, help_text="SHA-256 of method, address and body.")
    status = models.PositiveSmallIntegerField(default=0)
    headers = models.JSONField(default=dict)
    body = models.TextField(default="")
    created_at = models.DateTimeField(db_index=True)

    class Meta:
        db_table = "timers_kept_answer"
        constraints = (models.UniqueConstraint(fields=("caller", "key"), name="timers_kept_answer_key"),)

    def __str__(self) -> str:
        return f"{self.caller}: {self.key}"
