"""The simulator repeats a seed exactly, finds a planted bug, and nothing in the engine as it is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.torture.sim.command import catch
from tests.torture.sim.database import own_world
from tests.torture.sim.faults import plan
from tests.torture.sim.minimise import minimise
from tests.torture.sim.mutants import MUTANTS
from tests.torture.sim.records import Records, Timer
from tests.torture.sim.world import World
from timers.domain.execution_id import execution_id

INSTANT = 1_800_000_000_000_000
EXECUTION = execution_id(INSTANT, 7)


@pytest.fixture
def world(transactional_db: None) -> Iterator[World]:
    with own_world() as made:
        yield made


def test_no_invariant_is_violated_under_faults(world: World) -> None:
    results = [world.run(seed) for seed in range(1, 6)]
    assert [result.failure for result in results] == [""] * 5
    assert any(result.struck for result in results)
    assert all(result.starts for result in results)


def test_a_seed_repeats_exactly(world: World) -> None:
    first = world.run(3)
    world.run(4)
    assert world.run(3) == first
    assert first.struck


def test_a_planted_bug_is_found_and_reduced_to_the_faults_that_it_needs(world: World) -> None:
    (mutant,) = (each for each in MUTANTS if each.name == "M6")
    caught = catch(world, mutant, 10)
    assert caught is not None
    assert caught.invariant == "attempts"
    with mutant.plant():
        smallest = minimise(caught, lambda faults: world.run(caught.seed, faults, every=1))
    assert smallest.invariant == "attempts"
    assert 1 <= len(smallest.struck) <= len(caught.struck)
    assert world.run(caught.seed).failure == ""


def test_a_limit_that_is_counted_without_its_lock_is_found(world: World) -> None:
    (mutant,) = (each for each in MUTANTS if each.name == "M13")
    caught = catch(world, mutant, 100)
    assert caught is not None
    assert caught.invariant == "limit"


def test_a_plan_of_faults_is_the_same_for_the_same_seed() -> None:
    plans = [plan(seed, ["node-0", "node-1"], ["client"], 10) for seed in (1, 1, 2, 3)]
    assert plans[0] == plans[1]
    assert plans[0] != plans[2] != plans[3]


@pytest.fixture
def found() -> list[str]:
    return []


@pytest.fixture
def records(found: list[str]) -> Records:
    """One execution that began at its instant."""
    made = Records(lambda kind, words: found.append(kind), retries=2, timers={"t": Timer("work", "t")})
    made.begin(EXECUTION, "t", 1, 10, INSTANT)
    return made


@pytest.mark.parametrize(
    ("attempt", "fence", "late_us", "violated"),
    [
        (2, 11, 1, []),
        (2, 11, -1, ["early"]),
        (2, 10, 1, ["fence order"]),
        (2, 9, 1, ["fence order"]),
        (1, 11, 1, ["attempts"]),
        (4, 11, 1, ["attempts"]),
    ],
)
def test_a_further_start_is_compared_with_those_before(
    records: Records, found: list[str], attempt: int, fence: int, late_us: int, violated: list[str]
) -> None:
    records.begin(EXECUTION, "t", attempt, fence, INSTANT + late_us)
    assert found == violated


def test_an_effect_under_an_older_fence_is_found(records: Records, found: list[str]) -> None:
    records.begin(EXECUTION, "t", 2, 11, INSTANT)
    records.go_on(EXECUTION, 10)
    assert found == ["fence order"]


@pytest.mark.parametrize(("in_flight", "violated"), [([], ["after cancel"]), ([EXECUTION], [])])
def test_a_start_after_a_cancel_must_have_been_named_by_it(
    records: Records, found: list[str], in_flight: list[str], violated: list[str]
) -> None:
    records.cancelled("t", in_flight)
    records.begin(EXECUTION, "t", 2, 11, INSTANT)
    assert found == violated


def test_one_occurrence_has_one_execution(records: Records, found: list[str]) -> None:
    records.begin(execution_id(INSTANT, 7, ordinal=3), "t", 1, 11, INSTANT)
    assert found == ["two ids"]
