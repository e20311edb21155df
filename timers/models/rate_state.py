"""RateState: when the next execution of a group with a rate limit may start."""

from __future__ import annotations

from django.db import models

from timers.domain.limit_keys import MAX_KEY
from timers.models.group import TimerGroup


class RateState(models.Model):
    """The state of one rate (see domain/rates.py).

    Only a transaction with the group's limit lock writes it. A change of the group deletes it; claims have the group's
    row locked while they write. A row whose instant has passed is equivalent to no row.
    """

    group = models.ForeignKey(TimerGroup, on_delete=models.CASCADE, db_constraint=False, db_index=False)
    key = models.CharField(
        max_length=MAX_KEY + 1,
        blank=True,
        default="",
        help_text="Empty: the group's own rate; else a colon and the key whose rate it is.",
    )
    tat = models.DateTimeField(help_text="The theoretical arrival time of the next execution.")

    class Meta:
        db_table = "timers_rate_state"
        constraints = (models.UniqueConstraint(fields=("group", "key"), name="timers_rate_state_of"),)

    def __str__(self) -> str:
        return f"rate of group {self.group_id}"
