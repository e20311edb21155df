"""ChainLock and OrderHold: locks that chains share, and the places that claimed orders hold.

Places are of locks, and of steps with a limit.
"""

from __future__ import annotations

from django.db import models

from timers.models.group import NAME_LENGTH, TimerGroup


class ChainLock(models.Model):
    """A lock, by its name, that the chains of a group share."""

    group = models.ForeignKey(TimerGroup, on_delete=models.CASCADE, related_name="chain_locks", db_index=False)
    name = models.CharField(max_length=NAME_LENGTH)
    capacity = models.PositiveIntegerField(help_text="How many orders may hold it at once.")

    class Meta:
        db_table = "timers_chain_lock"
        ordering = ("group__name", "name")
        constraints = (models.UniqueConstraint(fields=("group", "name"), name="timers_chain_lock_name"),)

    def __str__(self) -> str:
        return self.name


class OrderHold(models.Model):
    """A place of a limited step, or of a lock, that a claimed order holds; it counts while its claim exists."""

    id = models.BigAutoField(primary_key=True)
    scope = models.CharField(max_length=3 * NAME_LENGTH)
    order_id = models.UUIDField()
    fence = models.BigIntegerField()

    class Meta:
        db_table = "timers_order_hold"
        indexes = (
            models.Index(fields=("scope",), name="timers_order_hold_scope"),
            models.Index(fields=("order_id",), name="timers_order_hold_order"),
        )

    def __str__(self) -> str:
        return f"{self.scope} by {self.order_id}"
