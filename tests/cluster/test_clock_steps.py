"""The database clock steps under real nodes: nobody who lives is declared dead, and nothing runs twice or early."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.cluster.field import ROOT, Field, eventually
from tests.support.movable_clock import MovableClock

pytestmark = pytest.mark.cluster

HOUR = 3600
SLOW = 14
"""Seconds: longer than a lease."""


@pytest.fixture
def clock(field: Field) -> MovableClock:
    return MovableClock(field.address)


def schedule(field: Field, name: str, after: float, handler: str = "cluster.work", payload: object = None) -> None:
    field.run("from timers.scheduling import ensure_group, schedule_once\n"
        "ensure_group('work', retry={'max_retries': 3, 'min_backoff': 0.1})\n"
        f"schedule_once('work', {name!r}, after={after}, handler={handler!r}, payload={payload!r})",
    )  # fmt: skip


def outcomes(field: Field, name: str) -> list[str]:
    return [
        row[0] for row in field.rows("SELECT outcome FROM timers_attempt WHERE name = %s ORDER BY finished_at", name)
    ]


def events(field: Field, kind: str) -> int:
    return int(field.value("SELECT count(*) FROM timers_cluster_event WHERE kind = %s", kind))


def doctor(field: Field) -> tuple[int, list[str]]:
    done = subprocess.run(
        [sys.executable, "manage.py", "timerdoctor", "--json"],
        cwd=ROOT, env=field.environment, capture_output=True, text=True,
    )  # fmt: skip
    return done.returncode, [f["what"] for f in json.loads(done.stdout)["findings"] if f["check"] == "clock_steps"]


def running_job(field: Field) -> None:
    """Two nodes, one of which runs a job that takes longer than a lease."""
    field.start("a", "--workers", "1")
    field.start("b", "--workers", "1")
    eventually(lambda: field.value("SELECT clock_timestamp() - pg_postmaster_start_time() > INTERVAL '10 s'"))
    schedule(field, "slow", 0, "cluster.slow", SLOW)
    eventually(lambda: len(field.calls()) == 1)


def nobody_died_and_the_job_ran_once(field: Field) -> None:
    eventually(lambda: outcomes(field, "slow") == ["succeeded"], within=60)
    assert events(field, "node died") == 0
    assert field.value("SELECT count(*) FROM timers_node") == 2
    assert len([call for call in field.calls() if call.number_of_try > 1]) == 0


def test_after_a_step_forward_nobody_dies_nothing_fires_early_and_all_goes_on_when_it_is_taken_back(
    field: Field, clock: MovableClock
) -> None:
    running_job(field)
    schedule(field, "in an hour", HOUR)
    clock.step(2 * HOUR)
    eventually(lambda: events(field, "clock step") == 1, within=4)
    nobody_died_and_the_job_ran_once(field)
    code, words = doctor(field)
    assert code == 1
    assert words[0].startswith("The database clock stepped forward by 2 h")
    assert "Claims and rescue are held until" in words[0]
    assert outcomes(field, "in an hour") == []
    clock.step(-2 * HOUR)
    eventually(lambda: events(field, "clock step") == 2, within=4)
    schedule(field, "now", 0)
    eventually(lambda: outcomes(field, "now") == ["succeeded"], within=20)
    assert outcomes(field, "in an hour") == []
    assert events(field, "node died") == 0


def test_sixty_seconds_forward_and_twice_as_far_back_harm_nobody(field: Field, clock: MovableClock) -> None:
    running_job(field)
    clock.step(60)
    eventually(lambda: events(field, "clock step") == 1, within=4)
    clock.step(-120)
    eventually(lambda: events(field, "clock step") == 2, within=4)
    nobody_died_and_the_job_ran_once(field)
    schedule(field, "now", 0)
    eventually(lambda: outcomes(field, "now") == ["succeeded"], within=20)


def test_after_a_step_back_nothing_fires_again_and_the_doctor_says_so(field: Field, clock: MovableClock) -> None:
    running_job(field)
    schedule(field, "once", 0)
    eventually(lambda: outcomes(field, "once") == ["succeeded"])
    clock.step(-2 * HOUR)
    eventually(lambda: events(field, "clock step") == 1, within=4)
    nobody_died_and_the_job_ran_once(field)
    schedule(field, "now", 0)
    eventually(lambda: outcomes(field, "now") == ["succeeded"], within=20)
    assert outcomes(field, "once") == ["succeeded"]
    code, words = doctor(field)
    assert code == 1
    # One that says when it stepped, and one that says how far it has to go.
    assert any(each.startswith("The database clock stepped back by 2 h") for each in words)
    assert any("behind an instant that it has shown before" in each for each in words)


def test_a_node_that_is_killed_after_a_step_back_is_rescued_as_soon_as_ever(field: Field, clock: MovableClock) -> None:
    field.settings["TIMERS_CRASH_LOCK"] = "false"
    running_job(field)
    ran = field.value("SELECT n.name FROM timers_claim c JOIN timers_node n ON n.id = c.node_id")
    clock.step(-2 * HOUR)
    field.kill(ran)
    eventually(lambda: events(field, "node died") == 1, within=40)
    eventually(lambda: outcomes(field, "slow") == ["lost", "succeeded"], within=60)


def test_what_a_trusted_step_made_overdue_fires_late(field: Field, clock: MovableClock) -> None:
    field.settings["TIMERS_CLOCK_STEP_HOLD"] = "0"
    field.start("a", "--workers", "1")
    schedule(field, "in an hour", HOUR)
    clock.step(2 * HOUR)
    eventually(lambda: outcomes(field, "in an hour") == ["succeeded"], within=20)
    # A worker that has not read the clock before the step does not notice it; the next heartbeat of its node does.
    eventually(lambda: events(field, "clock step") == 1)


def test_drift_is_no_step(field: Field, clock: MovableClock) -> None:
    field.start("a", "--workers", "1")
    beat = "SELECT heartbeat_at FROM timers_node"
    for number in range(3):
        before = field.value(beat)
        clock.step(1.0)
        schedule(field, f"now-{number}", 0)
        eventually(lambda number=number: outcomes(field, f"now-{number}") == ["succeeded"])
        # Between two readings of one process the clock drifts by one of these steps, or two, and never by all three.
        eventually(lambda before=before: field.value(beat) != before)
    assert events(field, "clock step") == 0
