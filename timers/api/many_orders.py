"""The work of a request for many orders: as a whole, or in parts that a repeat of the request continues."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from timers import chains
from timers.control.chains.many import OrderRun, Progress
from timers.control.chains.many_checks import check_verb
from timers.exceptions import NotAllowedNow
from timers.insights.order_choice import choose_orders
from timers.security.caller import Caller


class ManyOrdersWork:
    """A verb for all orders that match a filter.

    Args:
        caller: The caller; only orders of groups that it may see are meant.
        body: The body of the request.
    """

    def __init__(self, caller: Caller, body: Mapping[str, Any]) -> None:
        self._arguments = dict(body)
        self._verb = self._arguments.pop("verb", None)
        self._meant = {
            "conditions": self._arguments.pop("filter", {}),
            "limit": self._arguments.pop("limit", chains.MOST),
            "before": self._arguments.pop("before", None),
            "groups": caller.groups,
        }
        self._seen = None if caller.groups is None else sorted(caller.groups)
        self._actor = caller.actor
        self._run: OrderRun | None = None

    def whole(self) -> chains.ManyOrders:
        """Do all of it. Raise InvalidRequest."""
        return chains.for_orders(self._verb, **self._meant, actor=self._actor, **self._arguments)

    def begin(self) -> dict[str, Any]:
        """Return the plan: the orders that match now. Raise InvalidRequest."""
        check_verb(self._verb, self._arguments)
        chosen = choose_orders(**self._meant)
        return {"orders": chosen.ids, "has_more": chosen.has_more, "seen": self._seen}

    def go_on(self, plan: dict[str, Any], stored: dict[str, Any]) -> dict[str, Any] | chains.ManyOrders:
        """Handle the next order of the plan; return the progress, or the result if none is left.

        Raises:
            NotAllowedNow: The plan has orders of groups that the caller may see no longer.
        """
        if self._run is None:
            if plan["seen"] != self._seen:
                raise NotAllowedNow(
                    "the groups that the key may see have changed since the request began. Send a new request, with a "
                    "new Idempotency-Key."
                )
            more, actor = plan["has_more"], self._actor
            self._run = OrderRun(self._verb, plan["orders"], self._arguments, has_more=more, actor=actor)
        progress = Progress.from_json(stored)
        if self._run.is_over(progress):
            return self._run.result(progress)
        return self._run.go_on(progress).to_json()
