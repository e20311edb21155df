"""Next steps: when the recorder of a worker claims the next step of an order together with the end of a step.

The claimer allows it while it leaves no due work for lack of room, so that an order never keeps a worker from others.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from timers.actions import Action
from timers.engine.orders.continuing import Continuing
from timers.worker.in_flight import Started
from timers.worker.options import NodeOptions


class NextSteps:
    """What claimer and recorder of a worker share about next steps."""

    def __init__(
        self, options: NodeOptions, idle_slots: Callable[[], Callable[[Action], bool]], started: Started
    ) -> None:
        """Create it; nothing is allowed before the claimer's first pass.

        Args:
            options: the options of the node.
            idle_slots: see Capacity.idle_slots.
            started: shows whether the worker may begin executions.
        """
        self._options = options
        self._idle_slots = idle_slots
        self._started = started
        self._is_over = False
        self.is_allowed = False
        """Whether the claimer has claimed all due work that it found; the claimer sets it."""
        self.is_unsure = False
        """Whether a claim may have been committed whose response was lost; the recorder sets it."""
        self.claiming = threading.Lock()
        """Held while a claim of the recorder may be committed and not counted yet."""

    def end(self) -> None:
        """Allow no more claims; when it returns, none is in progress, and all executions are passed on."""
        self._is_over = True
        with self.claiming:
            pass

    def offer(self) -> Continuing | None:
        """Return what claims next steps now; None: nothing does."""
        started, options = self._started, self._options
        # In a passive cluster, and for groups with a leader, a claim depends on the leadership.
        if not self.is_allowed or self._is_over or self.is_unsure or options.mode.is_passive:
            return None
        if started.taken_back or not started.lease_is_sure:
            return None
        return Continuing(options.partition, options.roles, self._idle_slots())
