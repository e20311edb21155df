"""Subscriptions of the group `orders`, and who was called for them."""

from __future__ import annotations

from collections import Counter
from typing import Any

from tests.support.handlers import TemporaryHandlers
from timers.control.subscriptions import create_subscription


def subscribe(name: str, mode: str = "broadcast", **more: Any) -> int:
    """A subscription whose handler is tests.<name>; returns its ordinal."""
    action = more.pop("action", {"handler": f"tests.{name}"})
    return create_subscription("orders", name, mode=mode, action=action, **more).ordinal


def pull(name: str, mode: str = "broadcast", **more: Any) -> int:
    """The same for one that consumers pull."""
    return subscribe(name, mode, action={"kind": "pull"}, **more)


def receivers(handlers: TemporaryHandlers, timer: str = "t") -> Counter[str]:
    """How often the handlers were called for a timer, by subscription."""
    return Counter(fire.subscription for fire in handlers.called(timer))
