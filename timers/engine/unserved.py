"""Unserved: handlers that this process does not know. Their work waits for a node that does, now or in the future.

The names are learned from the nodes that publish them, from groups and subscriptions as they are served, and from
timers seen due. So a query excludes nothing as long as every handler in use is known here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from timers import handlers
from timers.actions import parse_text
from timers.engine.execution import ServedGroup


def is_known_here(name: str) -> bool:
    """Return whether this process has registered a handler of that name."""
    return handlers.find(name) is not None


class Unserved:
    """The handlers whose work one worker leaves, as far as it has encountered them."""

    def __init__(self, names: Iterable[str] = (), knows: Callable[[str], bool] = is_known_here) -> None:
        self.names = frozenset(names)
        self._knows = knows

    def renew(self, elsewhere: Iterable[str]) -> None:
        """Add handlers that other nodes know, and drop those that this process knows by now."""
        self.names = frozenset(name for name in {*self.names, *elsewhere} if not self._knows(name))

    def known_with(self, group: ServedGroup) -> frozenset[str]:
        """Return all names so far, including handlers of the group's action and subscriptions that are unknown here."""
        for name in group.handlers:
            if name not in self.names and not self._knows(name):
                self.names |= {name}
        return self.names

    def leaves_row(self, row: Mapping[str, Any]) -> bool:
        """Return whether a row of waiting is left, by the handler of its order's step or its timer's own action."""
        return self.leaves(row["action"], row["handler"])

    def leaves(self, action: str | None, handler: str | None = None) -> bool:
        """Return whether a timer's own action, or the step of an order, calls a handler that is unknown here.

        The handler is added to the names. An unreadable action is not left: its execution fails alone with the reason.

        Args:
            action: JSON text of the timer's own action; None: it has none.
            handler: handler of the step; None: there is no step, or it calls no handler.
        """
        if action is None and handler is None:
            return False
        try:
            name = parse_text(action).handler if handler is None and action is not None else handler
        except Exception:  # noqa: BLE001 - whatever is wrong with one row must not stop the batch
            return False
        if not name or (name not in self.names and self._knows(name)):
            return False
        self.names |= {name}
        return True
