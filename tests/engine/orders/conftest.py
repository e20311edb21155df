from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.handlers import TemporaryHandlers
from timers.control.chains.define import create_chain
from timers.engine.finish import Finished, finish
from timers.engine.orders.continuing import Continuing
from timers.models import ChainOrder, TimerGroup
from timers.scheduling import schedule_once
from timers.testing import Stepper

END = {"kind": "end"}


def action(following: str, handler: str = "tests.noop", **fields: Any) -> dict[str, Any]:
    """A step that calls a handler."""
    return {"kind": "action", "action": {"handler": handler}, "next": following, **fields}


class Continues(Stepper):
    """A node whose recorder claims next steps."""

    room = 8

    def finish(self) -> Finished:
        left = self.room

        def has_room(_: object) -> bool:
            nonlocal left
            left -= 1
            return left >= 0

        offer = Continuing("default", self._roles, has_room)
        finished = finish(self.holder, self.outcomes, self.time.us, lambda: offer)
        self.outcomes = finished.deferred
        self.held += finished.continued
        return finished


@pytest.fixture
def begin(group: TimerGroup, node: Stepper, handlers: TemporaryHandlers) -> Callable[..., str]:
    """Creates the chain "main" of these steps and adds an order of it; returns the order's id."""

    def begin(steps: dict[str, Any], variables: Any = None, **fields: Any) -> str:
        create_chain("work", "main", {"start": next(iter(steps)), "steps": {**steps, "end": END}, **fields})
        schedule_once("work", "order", after=0, payload=variables or {}, action={"kind": "chain", "chain": "main"})
        node.step()
        return str(ChainOrder.objects.get(parent=None).id)

    return begin
