"""ExclusionCalendar: days and windows in which nothing fires."""

from __future__ import annotations

from django.db import models

from timers.models.fields import ExactJSONField
from timers.models.group import NAME_LENGTH
from timers.models.in_flight import InFlight


class ExclusionCalendar(InFlight, models.Model):
    """A named list of rules (see timers/schedules/exclusions.py) that groups and timers refer to by its name."""

    name = models.CharField(max_length=NAME_LENGTH, unique=True)
    description = models.TextField(blank=True, default="")
    time_zone = models.CharField(
        max_length=64, blank=True, default="", help_text="Whose wall clock says what day it is; empty: the timer's."
    )
    rules = ExactJSONField(default=list)
    version = models.PositiveIntegerField(default=1, editable=False)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    updated_by = models.CharField(max_length=NAME_LENGTH, blank=True, default="")

    class Meta:
        db_table = "timers_exclusion_calendar"
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name
