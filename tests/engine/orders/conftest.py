from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.handlers import TemporaryHandlers
from timers.control.chains.define import create_chain
from timers.models import ChainOrder, TimerGroup
from timers.scheduling import schedule_once
from timers.testing import Stepper

END = {"kind": "end"}


def action(following: str, handler: str = "tests.noop", **fields: Any) -> dict[str, Any]:
    """A step that calls a handler."""
    return {"kind": "action", "action": {"handler": handler}, "next": following, **fields}


@pytest.fixture
def begin(group: TimerGroup, node: Stepper, handlers: TemporaryHandlers) -> Callable[..., str]:
    """Creates the chain "main" of these steps and adds an order of it; returns the order's id."""

    def begin(steps: dict[str, Any], variables: Any = None, **fields: Any) -> str:
        create_chain("work", "main", {"start": next(iter(steps)), "steps": {**steps, "end": END}, **fields})
        schedule_once("work", "order", after=0, payload=variables or {}, action={"kind": "chain", "chain": "main"})
        node.step()
        return str(ChainOrder.objects.get(parent=None).id)

    return begin
