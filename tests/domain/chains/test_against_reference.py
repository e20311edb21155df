"""Random chains, random interleavings: `advance` ends as the slow reference interpreter says."""

from __future__ import annotations

import pytest

from tests.domain.chains.random_run import Run
from tests.domain.chains.reference import Reference
from tests.support.profile import IS_LONG
from timers.domain.chains.order import (
    FAILED,
    JOINING,
    SUSPENDED,
)

GRAPHS = 10_000 if IS_LONG else 400
PARTS = 40 if IS_LONG else 4


@pytest.mark.parametrize("part", range(PARTS))
def test_random_chains_end_as_the_reference_says(part: int) -> None:
    for seed in range(part * GRAPHS // PARTS, (part + 1) * GRAPHS // PARTS):
        run = Run(seed)
        first = run.go()
        reference = Reference(run.specs, run.outside, run.skipped)

        wanted = reference.run("main", {})

        order = run.order(first)
        state = order.outcome or {JOINING: "waiting"}.get(order.state, order.state)
        assert (seed, state, order.variables) == (seed, wanted.state, wanted.variables)
        if state in (SUSPENDED, "waiting") or order.state == FAILED:
            assert (seed, order.step) == (seed, wanted.step)
        assert len(set(run.joined)) == len(run.joined)
        # Branches that were cancelled may have joined before; the reference does not walk through them.
        assert {path for path in reference.joins if run.outside.ends(path)} <= set(run.joined)
        run.check_bounds()
