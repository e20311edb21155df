"""The options of a node."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from timers.domain.cluster_modes import SHARED, NodeMode

DRAIN: Final = "drain"
"""The only command to a worker: claim no more, release what has not begun, end when the rest is recorded."""


@dataclass(frozen=True, slots=True)
class NodeOptions:
    """The command line of runtimerworker."""

    name: str
    workers: int = 2
    threads: int = 8
    """Plain handlers that one worker runs at once."""
    concurrency: int = 200
    """Async handlers that one worker runs at once."""
    partition: str = "default"
    roles: tuple[str, ...] = ()
    allow_execution: bool = True
    mode: NodeMode = SHARED
    drain_timeout: float = 30
    """Seconds that running handlers may take after SIGTERM."""

    @property
    def all_threads(self) -> int:
        """Number of plain handlers that the node runs at once, over all its workers."""
        return self.workers * self.threads if self.allow_execution else 0

    @property
    def all_async_slots(self) -> int:
        """Number of async handlers and HTTP calls that the node runs at once, over all its workers."""
        return self.workers * self.concurrency if self.allow_execution else 0


@dataclass(frozen=True, slots=True)
class WorkerSetup:
    """What the supervisor passes to a worker process."""

    node_id: int
    node: str
    number: int
    options: NodeOptions
    supervisor_pid: int
    clock_reading: tuple[datetime, float, float] | None = None
    """The supervisor's last reading of the database clock, with which the worker's first one is compared.

    See engine/step_detector.py.
    """
