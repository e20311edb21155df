"""The plan of a live torture run, and the document that is made of its report."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from tests.torture.live.plan import PROFILES, RESTART_BOUNDS, SETTLES, Profile, options_of, pause_after, plan
from tests.torture.live.report import document

FACTS = {
    "options": "--profile smoke --seed 7", "nodes": 3, "rate": 60.0, "cpus": 2, "created_until": 1_800_000_000.0
}  # fmt: skip


@pytest.mark.parametrize("profile", PROFILES.values(), ids=list(PROFILES))
def test_no_fault_begins_while_the_bound_of_the_one_before_runs(profile: Profile) -> None:
    for seed in range(50):
        strikes = plan(profile, seed)
        assert {strike.nemesis for strike in strikes} == set(profile.nemeses)
        for strike, following in pairwise(strikes):
            assert following.at >= strike.at + strike.seconds + pause_after(strike.nemesis, strike.seconds) - 0.02


def test_a_pause_covers_the_rest_of_the_bound_and_what_the_database_needs_to_settle() -> None:
    assert pause_after("kill", 1) == RESTART_BOUNDS["kill"] - 1 + pause_after("reply", 4)
    assert pause_after("freeze", 20) == pause_after("reply", 4)
    assert pause_after("dbrestart", 3) > SETTLES["dbrestart"]


def test_the_options_of_a_run_are_those_that_repeat_it() -> None:
    smoke = PROFILES["smoke"]
    assert options_of("smoke", smoke, 42) == "--profile smoke --seed 42"
    changed = replace(smoke, nodes=2, nemeses=("kill", "cut"))
    assert options_of("smoke", changed, 1) == "--profile smoke --seed 1 --nodes 2 --nemesis kill,cut"


@pytest.mark.parametrize(
    ("exit_code", "words"), [(0, "Every promise held"), (1, "A promise was broken"), (3, "something never happened")]
)
def test_the_document_says_how_the_run_ended_and_how_to_repeat_it(exit_code: int, words: str) -> None:
    made = document(FACTS, "torture 0.1.0\nVERDICT   PASS\n", exit_code)
    assert words in made
    assert "run --profile smoke --seed 7 --report docs/torture-report.md" in made
    assert "```text\ntorture 0.1.0\nVERDICT   PASS\n```" in made
    assert "3 nodes on one machine of 2 CPUs, 60 timers a second." in made
