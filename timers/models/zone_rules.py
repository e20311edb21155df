"""ZoneRules: the edition of the time zone rules from which all next instants have been computed."""

from __future__ import annotations

from django.db import models


class ZoneRules(models.Model):
    """One row: when a node with newer rules finds it, all next instants are recomputed."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    edition = models.CharField(max_length=40, help_text="The edition of the IANA time zone database, such as 2026b.")
    applied_at = models.DateTimeField()
    timers_moved = models.PositiveIntegerField(default=0, help_text="Timers whose next instant this edition changed.")

    class Meta:
        db_table = "timers_zone_rules"
        constraints = (models.CheckConstraint(condition=models.Q(id=1), name="timers_zone_rules_one_row"),)

    def __str__(self) -> str:
        return self.edition
