"""ClusterPause: while there is one, nothing fires anywhere."""

from __future__ import annotations

from django.db import models

from timers.models.group import NAME_LENGTH
from timers.models.in_flight import InFlight


class ClusterPause(InFlight, models.Model):
    """The pause of the whole cluster: there is one row, or none."""

    ONLY = 1

    id = models.PositiveSmallIntegerField(primary_key=True, default=ONLY, editable=False)
    at = models.DateTimeField()
    by = models.CharField(max_length=NAME_LENGTH, blank=True, default="")
    reason = models.TextField(blank=True, default="")

    class Meta:
        db_table = "timers_cluster_pause"
        constraints = (models.CheckConstraint(condition=models.Q(id=1), name="timers_cluster_pause_only"),)

    def __str__(self) -> str:
        return "the cluster is paused"
