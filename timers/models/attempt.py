"""Attempt: the ledger. The past tense."""

from __future__ import annotations

from django.db import models

from timers.models.fields import ExactJSONField
from timers.models.group import NAME_LENGTH


class Attempt(models.Model):
    """One row per attempt, and one final row per execution; inserted once, never updated.

    The final row's id is the execution's id, so the database allows only one final outcome; an attempt that was
    followed by another has the attempt's number in the last ten bits of its id. There are no foreign keys, because
    history outlives the objects that it refers to. The table is partitioned by id, that is by time, in SQL (migration
    0001); retention drops whole partitions.
    """

    FINAL = ("succeeded", "failed", "cancelled", "skipped")
    NOT_FINAL = ("error", "timeout", "lost", "discarded", "snoozed", "advanced")
    """advanced: a step of a chain succeeded, and its order continued."""

    id = models.UUIDField(primary_key=True)
    group_id = models.BigIntegerField()
    timer_id = models.BigIntegerField()
    name = models.CharField(max_length=NAME_LENGTH)
    scheduled_for = models.DateTimeField()
    attempt = models.PositiveSmallIntegerField()
    outcome = models.CharField(max_length=10, choices=[(word, word) for word in FINAL + NOT_FINAL])
    reason = models.TextField(null=True)
    origin = models.CharField(max_length=10)
    node = models.CharField(max_length=NAME_LENGTH, null=True)
    worker = models.PositiveSmallIntegerField(null=True)
    fence = models.BigIntegerField(null=True)
    claimed_at = models.DateTimeField(null=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField()
    missed_count = models.PositiveIntegerField(default=0)
    result = ExactJSONField(null=True)
    error_title = models.TextField(null=True)
    error_detail = models.TextField(null=True)
    error_fingerprint = models.CharField(max_length=32, null=True)
    log = models.TextField(null=True)
    step = models.CharField(max_length=NAME_LENGTH, null=True, help_text="Of an order of a chain: the step.")
    variables = ExactJSONField(null=True, help_text="Of an attempt of a step: the names of the variables that it set.")
    exchange = ExactJSONField(null=True)
    """Request, response and timing of an HTTP call; see timers/worker/http_exchange.py."""

    class Meta:
        db_table = "timers_attempt"
        managed = False
        ordering = ("-id",)

    def __str__(self) -> str:
        return f"{self.name} #{self.attempt}: {self.outcome}"
