"""Orders that ended long ago are deleted; those under way keep their branches."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from tests.engine.orders.test_branches import join, sides
from tests.support.handlers import TemporaryHandlers
from timers.engine.orders.pruning import prune_orders
from timers.models import ChainOrder
from timers.testing import Stepper

Begin = Callable[..., str]


def test_ended_trees_go_and_the_branches_of_living_ones_stay(
    begin: Begin, node: Stepper, handlers: TemporaryHandlers
) -> None:
    sides(handlers)
    order = begin(join(on_branch_failure="wait", next="paid") | {"paid": {"kind": "signal", "next": "after"}})
    node.until_idle()
    late = node.time.now + timedelta(days=40)
    assert prune_orders(late) == 0
    ChainOrder.objects.filter(id=order).update(ended_at=node.time.now, state="ended", outcome="succeeded")
    assert prune_orders(node.time.now) == 0
    assert prune_orders(late) == 4
