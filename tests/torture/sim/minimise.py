"""Minimise: leave faults out of a failing seed for as long as it violates the same invariant."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tests.torture.sim.faults import Fault
from tests.torture.sim.world import Result

Run = Callable[[Sequence[Fault]], Result]
"""Runs the seed under these faults, looking at the tables after each commit."""


def minimise(failed: Result, run: Run) -> Result:
    """The same violation under as few faults as can be found by leaving out one after the other.

    `failed` is returned where the closer look of `run` finds no violation of its invariant.
    """
    smallest = run(failed.struck)
    if smallest.invariant != failed.invariant:
        return failed
    for fault in failed.struck:
        fewer = [each for each in smallest.struck if each != fault]
        if len(fewer) < len(smallest.struck):
            found = run(fewer)
            if found.invariant == failed.invariant:
                smallest = found
    return smallest
