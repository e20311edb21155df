"""ChainOrder: the position of the execution of a chain, or of one branch of it."""

from __future__ import annotations

from django.db import models

from timers.models.chain import Chain, ChainVersion
from timers.models.fields import ExactJSONField
from timers.models.group import NAME_LENGTH, TimerGroup


class ChainOrder(models.Model):
    """An order: an execution that walks through the steps of a chain. Branches and sub-chains are separate orders.

    An order whose step runs or may run has its place in `claim` or `waiting`, like every execution; one that rests
    (stopped, suspended, at a join, waiting for a person) has only this row. To change any order of a tree, lock the row
    of its root first.
    """

    id = models.UUIDField(primary_key=True, help_text="The execution's.")
    root = models.UUIDField(help_text="The order that this one belongs to in the end; its own id where it is that.")
    parent = models.UUIDField(null=True, help_text="The order that this one is a branch or a sub-chain of.")
    parent_round = models.PositiveIntegerField(null=True, help_text="The turn in which the parent began it.")
    group = models.ForeignKey(TimerGroup, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False)
    chain = models.ForeignKey(Chain, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False)
    version = models.ForeignKey(ChainVersion, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False)
    timer_id = models.BigIntegerField()
    name = models.CharField(max_length=NAME_LENGTH)
    step = models.CharField(max_length=NAME_LENGTH)
    state = models.CharField(max_length=10)
    available_at = models.DateTimeField(null=True)
    reason = models.TextField(default="", blank=True)
    variables = ExactJSONField()
    visits = ExactJSONField()
    setbacks = models.PositiveIntegerField(default=0)
    turn = models.PositiveIntegerField(default=0)
    round = models.PositiveIntegerField(null=True)
    total = models.PositiveIntegerField(null=True, help_text="Branches of the present round in all.")
    is_reset = models.BooleanField(default=False, help_text="A branch that is to begin again, and is not counted.")
    branch_of = models.CharField(max_length=NAME_LENGTH, null=True, help_text="The fork or map that began it.")
    branch_name = models.CharField(max_length=NAME_LENGTH, null=True)
    branch_index = models.PositiveIntegerField(null=True)
    is_suspend_requested = models.BooleanField(default=False)
    in_finally = models.BooleanField(default=False)
    pending = ExactJSONField(null=True, help_text="The outcome that applies after the finally steps.")
    deadline_at = models.DateTimeField(null=True)
    outcome = models.CharField(max_length=10, null=True)
    result = ExactJSONField(null=True, help_text="What a branch or sub-chain hands to its parent.")
    attempts = models.PositiveIntegerField(default=0, help_text="Rows that its attempts have in the ledger.")
    priority = models.IntegerField(default=0)
    subscription = models.PositiveSmallIntegerField(
        null=True, editable=False, help_text="The ordinal of the subscription that began it; null: none."
    )
    created_at = models.DateTimeField()
    changed_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "timers_chain_order"
        indexes = (
            models.Index(
                fields=("parent", "parent_round"),
                condition=models.Q(parent__isnull=False),
                name="timers_order_of_parent",
            ),
            models.Index(
                fields=("chain", "step", "id"), condition=models.Q(ended_at=None), name="timers_order_at_step"
            ),
            models.Index(
                fields=("group", "deadline_at"),
                condition=models.Q(deadline_at__isnull=False),
                name="timers_order_late",
            ),
            models.Index(
                fields=("chain", "step", "id"), condition=models.Q(state="at_stopped"), name="timers_order_stopped"
            ),
            models.Index(fields=("timer_id", "id"), name="timers_order_of_timer"),
            models.Index(fields=("ended_at",), condition=models.Q(ended_at__isnull=False), name="timers_order_ended"),
            models.Index(fields=("root",), condition=models.Q(parent__isnull=False), name="timers_order_of_root"),
        )

    def __str__(self) -> str:
        return f"{self.name} at {self.step} ({self.state})"
