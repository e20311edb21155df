from __future__ import annotations
from dataclasses import dataclass
from functools import lru_cache
@dataclass(frozen=True)
class Conf:
    poll_interval: float = 1.0
    heartbeat_interval: float = 2.0
    lease: float = 10.0
    notify: bool = True
    crash_lock: bool = True
    retention: int = 30
    node_retention: int = 7
    partitions_ahead: int = 7
    drain_timeout: float = 30.0
    overrun_grace: float = 3.0
    @property
    def look_ahead(self) -> float:
        return self.poll_interval + 0.5
@lru_cache
def current() -> Conf:
    return Conf()
