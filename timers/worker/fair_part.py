"""The fair part of a burst: pure arithmetic over the capacity and load of every worker. No database, no clock.

All workers compute it from the same rows, so together they claim due work once, in parts that fill their slots to the
same level, whichever worker polls first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(slots=True)
class Occupied:
    """The slots of one worker and how many of them are taken."""

    slots: float
    taken: float

    @property
    def free(self) -> float:
        """Slots that are not taken."""
        return max(self.slots - self.taken, 0.0)


def fair_parts(workers: Sequence[Occupied], due: float) -> list[float]:
    """Divide `due` slots' worth of work so that the fullest workers get nothing and the others end equally full.

    Return one part for each worker; they add up to `due`.
    """
    level = _level(workers, due)
    return [max(level * worker.slots - worker.taken, 0.0) for worker in workers]


def _level(workers: Sequence[Occupied], due: float) -> float:
    """Return the level, as a fraction of the slots, to which `due` fills the emptier workers."""
    filled = sorted((worker for worker in workers if worker.slots > 0), key=lambda worker: worker.taken / worker.slots)
    slots = taken = level = 0.0
    for position, worker in enumerate(filled):
        slots, taken = slots + worker.slots, taken + worker.taken
        level = (taken + due) / slots
        if position + 1 < len(filled) and level <= filled[position + 1].taken / filled[position + 1].slots:
            break
    return level
