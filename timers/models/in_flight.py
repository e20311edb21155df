"""InFlight: what a change of a row could not call back."""

from __future__ import annotations

from collections.abc import Sequence


class InFlight:
    """A row that a verb returns together with the executions that the change came too late for."""

    in_flight: Sequence[str] = ()
    """Ids of executions that had begun when the row was changed, or whose holder did not answer in time; set by verbs
    that pause or change, and empty on a row that was only read."""
