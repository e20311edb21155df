"""DatabaseServer: the PostgreSQL server of the tables, as the nodes last saw it."""

from __future__ import annotations

from django.db import models

from timers.models.group import NAME_LENGTH


class DatabaseServer(models.Model):
    """At most one row; timers/server/identity.py compares it with the current server."""

    ONLY = 1

    id = models.PositiveSmallIntegerField(primary_key=True, default=ONLY, editable=False)
    system_identifier = models.CharField(max_length=40, blank=True, default="")
    timeline = models.BigIntegerField(null=True)
    acceptance = models.PositiveIntegerField(default=0)
    accepted_at = models.DateTimeField(null=True)
    accepted_by = models.CharField(max_length=NAME_LENGTH, blank=True, default="")

    class Meta:
        db_table = "timers_database_server"
        constraints = (models.CheckConstraint(condition=models.Q(id=1), name="timers_database_server_only"),)

    def __str__(self) -> str:
        return f"server {self.system_identifier or 'unknown'}, timeline {self.timeline}"
