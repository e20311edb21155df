"""StatsMinute: counts per minute, node and group, for charts and rates."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models

LATENESS_BUCKETS_MS = (10, 50, 100, 250, 500, 1_000, 2_000, 5_000, 15_000, 60_000)
"""Upper bounds of the lateness histogram; one more bucket counts greater lateness."""


class StatsMinute(models.Model):
    """Counts of one node for one group in one minute: each node adds to its own rows, so no counter is shared."""

    id = models.BigAutoField(primary_key=True)
    minute = models.DateTimeField()
    node_id = models.IntegerField()
    group_id = models.BigIntegerField()
    succeeded = models.BigIntegerField(default=0)
    retried = models.BigIntegerField(default=0)
    failed = models.BigIntegerField(default=0)
    lateness = ArrayField(models.BigIntegerField(), help_text="Counts per bucket of LATENESS_BUCKETS_MS.")
    lateness_max_ms = models.BigIntegerField(null=True, help_text="The greatest lateness; empty: none was measured.")
    run_seconds = models.FloatField(default=0, help_text="Handler time, added up.")

    class Meta:
        db_table = "timers_stats_minute"
        constraints = (
            models.UniqueConstraint(fields=("minute", "node_id", "group_id"), name="timers_stats_minute_key"),
        )

    def __str__(self) -> str:
        return f"{self.minute} node {self.node_id} group {self.group_id}"
