"""ClusterEvent: what happened to the nodes, in order."""

from __future__ import annotations

from typing import Final

from django.db import models

from timers.models.group import NAME_LENGTH

NODE_REFUSED: Final = "node refused"
"""The kind of event that records the refusal of a node."""


class ClusterEvent(models.Model):
    """An event: a node joined, left or died, executions were rescued, or a worker was restarted."""

    id = models.BigAutoField(primary_key=True)
    at = models.DateTimeField(db_index=True)
    kind = models.CharField(max_length=40)
    node = models.CharField(max_length=NAME_LENGTH, blank=True, default="")
    detail = models.TextField(blank=True, default="")

    class Meta:
        db_table = "timers_cluster_event"

    def __str__(self) -> str:
        return f"{self.kind} {self.node}"
