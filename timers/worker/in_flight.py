"""Executions that a worker has begun and not recorded, in memory that the supervisor can read after its death.

Each execution has a cell: its id, when it began, and when its limit ends. The worker writes a cell before each start
and frees it when the outcome is in the ledger. So whatever kills the worker, the supervisor can distinguish executions
that had begun (the attempt is lost), that had ended but were not recorded, and that were only claimed (released).
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Iterator
from ctypes import c_char, c_double
from dataclasses import dataclass
from multiprocessing.context import SpawnContext
from typing import Any, Final

from timers.clock import boot_time
from timers.worker.pulse import Fault

FREE, RUNNING, ENDED = 0, 1, 2

CELLS: Final = 4096
_CELL = struct.Struct("<B7xdq36s4x")  # state, deadline (CLOCK_MONOTONIC), started (us UTC), execution id
_HEADER = struct.Struct("<ddqqqqqqq")
# pulse, earliest deadline, busy threads, busy async slots, held, succeeded, retried, failed, skipped
_TAKEN_BACK: Final = _HEADER.size
_SURE_UNTIL: Final = 96
_FIRST_CELL: Final = 128
_FAULT: Final = _FIRST_CELL + CELLS * _CELL.size
_FAULT_TEXT: Final = struct.Struct("<36s400s")  # execution id, UTF-8 reason
SIZE: Final = _FAULT + 1 + _FAULT_TEXT.size


@dataclass(frozen=True, slots=True)
class Vitals:
    """The state that a worker reports a few times per second."""

    pulse: float
    """CLOCK_MONOTONIC seconds; 0 before the first report."""
    earliest_deadline: float
    """CLOCK_MONOTONIC seconds at which the first running handler reaches its limit; 0: none runs."""
    busy_threads: int
    busy_async: int
    held: int
    succeeded: int
    retried: int
    failed: int
    skipped: int

    @property
    def busy(self) -> int:
        """Number of running executions, in threads and on the event loop."""
        return self.busy_threads + self.busy_async


@dataclass(frozen=True, slots=True)
class Cell:
    """One execution that began."""

    state: int
    deadline: float
    started_us: int
    execution: str


def shared_memory(context: SpawnContext) -> Any:
    """Return memory for one worker, to be passed to its process."""
    return context.RawArray(c_char, SIZE)


class Started:
    """The worker's and the supervisor's view of the shared memory."""

    def __init__(self, memory: Any) -> None:
        self._bytes = memoryview(memory).cast("B")
        # A separate double: struct would zero the bytes before writing them, and a reader could see that.
        self._sure_until = c_double.from_buffer(memory, _SURE_UNTIL)
        self._free = deque(range(CELLS))

    def begin(self, execution: str, started_us: int, deadline: float) -> int:
        """Write a cell before a handler starts. Return its number."""
        number = self._free.popleft()
        offset = _FIRST_CELL + number * _CELL.size
        _CELL.pack_into(self._bytes, offset, FREE, deadline, started_us, execution.encode())
        # The state last: a reader that sees it running sees the other fields too.
        self._bytes[offset] = RUNNING
        return number

    def end(self, cell: int) -> None:
        """Mark the cell as ended: the handler returned, and its outcome is on the way to the ledger."""
        self._bytes[_FIRST_CELL + cell * _CELL.size] = ENDED

    def forget(self, cell: int) -> None:
        """Free the cell: the outcome is recorded (or refused)."""
        self._bytes[_FIRST_CELL + cell * _CELL.size] = FREE
        self._free.append(cell)

    def cells(self) -> Iterator[Cell]:
        """Yield all cells in use."""
        for state, deadline, started_us, execution in _CELL.iter_unpack(self._bytes[_FIRST_CELL:_FAULT]):
            if state != FREE:
                yield Cell(state, deadline, started_us, execution.decode())

    def running(self) -> list[Cell]:
        """Return the cells whose handler has not returned."""
        return [cell for cell in self.cells() if cell.state == RUNNING]

    def say(self, vitals: Vitals) -> None:
        """Write the worker's vitals."""
        _HEADER.pack_into(
            self._bytes, 0, vitals.pulse, vitals.earliest_deadline, vitals.busy_threads, vitals.busy_async, vitals.held,
            vitals.succeeded, vitals.retried, vitals.failed, vitals.skipped,
        )  # fmt: skip

    def vitals(self) -> Vitals:
        """Read the worker's vitals."""
        return Vitals(*_HEADER.unpack_from(self._bytes, 0))

    def report_fault(self, fault: Fault) -> None:
        """Request the supervisor to replace this worker; the first fault is kept."""
        if not self._bytes[_FAULT]:
            reason = fault.reason.encode()[:400].decode(errors="ignore").encode()
            _FAULT_TEXT.pack_into(self._bytes, _FAULT + 1, fault.execution.encode(), reason)
            self._bytes[_FAULT] = 2 if fault.may_recover else 1

    @property
    def fault(self) -> Fault | None:
        """Why the worker requests to be replaced; None: it does not."""
        if not self._bytes[_FAULT]:
            return None
        execution, reason = _FAULT_TEXT.unpack_from(self._bytes, _FAULT + 1)
        may_recover = self._bytes[_FAULT] == 2
        return Fault(reason.rstrip(b"\0").decode(), execution.rstrip(b"\0").decode(), may_recover)

    def take_back(self) -> None:
        """Forbid the worker to start anything more: executions that have not begun go to others."""
        self._bytes[_TAKEN_BACK] = 1

    @property
    def taken_back(self) -> bool:
        """Whether the supervisor took back the executions that had not begun."""
        return bool(self._bytes[_TAKEN_BACK])

    def lease_is_sure_until(self, boot: float) -> None:
        """Allow starts up to this instant (boot_time); the supervisor advances it with every heartbeat."""
        self._sure_until.value = boot

    @property
    def lease_is_sure(self) -> bool:
        """Whether the lease is certain; checked before each claim and start.

        A node that was frozen or disconnected must not begin executions that others may have.
        """
        return boot_time() < self._sure_until.value
