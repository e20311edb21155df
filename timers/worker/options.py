"""What a node is started with."""

from __future__ import annotations

from dataclasses import dataclass


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
    drain_timeout: float = 30
    """Seconds that running handlers may take after SIGTERM."""

    @property
    def slots(self) -> int:
        """How many handlers the node runs at once."""
        return self.workers * (self.threads + self.concurrency) if self.allow_execution else 0


@dataclass(frozen=True, slots=True)
class WorkerSetup:
    """What the supervisor tells a worker process."""

    node_id: int
    node: str
    number: int
    options: NodeOptions
    supervisor_pid: int
