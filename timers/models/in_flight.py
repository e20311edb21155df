"""InFlight: executions that a change of a row could not recall."""

from __future__ import annotations

from collections.abc import Sequence


class InFlight:
    """A row that an operation returns together with the executions for which the change came too late."""

    in_flight: Sequence[str] = ()
    """Ids of executions that had started at the change, or whose holder did not answer in time.

    Operations that pause or change the row set it; it is empty on a row that was only read.
    """
