"""ClusterPause: while a row exists, nothing fires in its partition, or anywhere."""

from __future__ import annotations

from typing import Final

from django.db import models

from timers.models.group import NAME_LENGTH
from timers.models.in_flight import InFlight

EVERYWHERE: Final = ""
"""Value of `partition` for the whole cluster."""


def is_paused(partition: str) -> str:
    """Return an SQL condition: the whole cluster or a partition (SQL) is paused."""
    return f"EXISTS (SELECT 1 FROM timers_cluster_pause z WHERE z.partition IN ('{EVERYWHERE}', {partition}))"


def partition_is_paused(partition: str) -> str:
    """Return an SQL condition: a partition (SQL) is paused by itself."""
    return f"EXISTS (SELECT 1 FROM timers_cluster_pause z WHERE z.partition = {partition})"


class ClusterPause(InFlight, models.Model):
    """The pause of one partition, or of the whole cluster; each has at most one row."""

    id = models.AutoField(primary_key=True)
    partition = models.CharField(
        max_length=NAME_LENGTH,
        unique=True,
        blank=True,
        default=EVERYWHERE,
        db_default=EVERYWHERE,
        help_text="The partition that is paused; empty: the whole cluster.",
    )
    at = models.DateTimeField()
    by = models.CharField(max_length=NAME_LENGTH, blank=True, default="")
    reason = models.TextField(blank=True, default="")

    class Meta:
        db_table = "timers_cluster_pause"

    def __str__(self) -> str:
        return f"{self.subject} is paused"

    @property
    def subject(self) -> str:
        """What is paused, as text."""
        return "the cluster" if self.partition == EVERYWHERE else f"partition {self.partition}"
