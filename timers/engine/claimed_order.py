"""ClaimedOrder: what a claimed execution knows about the order of a chain that it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class ClaimedOrder:
    """What the claim of an order of a chain stores about it."""

    root: str
    """The root of the order's tree."""
    turn: int
    """The order's turn when it was claimed: it shows whether the order has moved on since."""
    is_run: bool
    """Whether its step is run; otherwise the order is only inspected: its time is over, or its step stopped."""
    scopes: tuple[tuple[str, int], ...] = ()
    """Limits and locks of which it needs a place each, with their capacities."""
    required_roles: tuple[str, ...] = ()
    """Only nodes with these roles run the step."""
    handler: str | None = None
    """The handler that the step calls."""
    chain: str = ""
    """The name of the chain that the step belongs to."""
    subscription: int = 0
    """The ordinal of the subscription that began the order; 0: none did."""

    in_a_row: int = 0
    """How many steps its worker has claimed at the end of the step before, without a break."""

    def details(self) -> dict[str, Any]:
        """Return what a rescue needs to know about the order, which may have moved on by then."""
        return {"turn": self.turn, "run": self.is_run, "scopes": self.scopes}

    def claimed_with(self, details: Mapping[str, Any]) -> ClaimedOrder:
        """Return the order as it was when it was claimed."""
        if not details:
            return self
        scopes = tuple((name, most) for name, most in details["scopes"])
        return replace(self, turn=details["turn"], is_run=details["run"], scopes=scopes)
