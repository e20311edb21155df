"""ClockStep: the last step of the database clock that a process noticed."""

from __future__ import annotations

from django.db import models

from timers.models.group import NAME_LENGTH


class ClockStep(models.Model):
    """At most one row. Instants are by the database clock after the step."""

    ONLY = 1

    id = models.PositiveSmallIntegerField(primary_key=True, default=ONLY, editable=False)
    at = models.DateTimeField()
    seconds = models.FloatField()
    ahead = models.FloatField()
    noticed_by = models.CharField(max_length=NAME_LENGTH)
    distrusted_until = models.DateTimeField()
    held_until = models.DateTimeField()

    class Meta:
        db_table = "timers_clock_step"
        constraints = (models.CheckConstraint(condition=models.Q(id=1), name="timers_clock_step_only"),)

    def __str__(self) -> str:
        return f"{self.seconds:+.1f} s at {self.at}"
