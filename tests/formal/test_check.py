"""What the checker of the models takes for a proof, and what it does not."""

from __future__ import annotations

import pytest

from formal.check import Check, Found, parse, problem

HOLDS = """
State-vector 128 byte, depth reached 1028, errors: 0
   434277 states, stored
unreached in proctype Worker
\tclaims.pml:139, state 66, "o = 1"
\tclaims.pml:173, state 213, "-end-"
unreached in init
"""
FAILS = """pan:1: assertion violated fences_rise (at depth 68)
State-vector 104 byte, depth reached 649, errors: 1
     2073 states, stored
"""
CORRECT = Check("claims", "as built")
BROKEN = Check("claims", "no fence", ("NO_FENCE",), ("stale_finish_has_no_effect",))


def test_search_without_errors_holds_and_tells_unreached_lines() -> None:
    found = parse(HOLDS)

    assert (found.violated, found.incomplete, found.states, found.unreached) == ("", "", 434277, {139})
    assert not problem(CORRECT, found)


def test_violated_assertion_is_named() -> None:
    found = parse(FAILS)

    assert found.violated == "fences_rise"
    assert problem(CORRECT, found) == "fences_rise fails"


def test_cycle_without_progress_violates_the_liveness_property() -> None:
    assert parse("pan:1: acceptance cycle (at depth 278)\n").violated == "every_occurrence_ends"


@pytest.mark.parametrize(
    "output",
    [
        "error: max search depth too small\n" + HOLDS,
        "pan: out of memory\n" + HOLDS,
        "pan: error: too many processes -- current max is 6 procs (-DNFAIR=2)\n",
        "Warning: Search not completed\n" + HOLDS,
        HOLDS.replace("errors: 0", "errors: 1"),
        "",
    ],
)
def test_search_that_was_not_complete_proves_nothing(output: str) -> None:
    found = parse(output)

    assert found.incomplete
    assert problem(CORRECT, found)
    assert problem(BROKEN, found)


def test_broken_variant_that_holds_is_a_problem() -> None:
    assert problem(BROKEN, parse(HOLDS)) == "no property fails: the model does not notice this fault"


def test_broken_variant_must_fail_by_an_expected_property() -> None:
    assert problem(BROKEN, parse(FAILS)) == "another property fails: fences_rise"
    assert not problem(BROKEN, Found(violated="stale_finish_has_no_effect"))
