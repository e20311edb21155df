"""The checker of torture runs finds what it is there to find."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.torture.live.checker import Run, check
from timers.domain.execution_id import execution_id, try_id

AT = 1_800_000_000.0
TIMER = 7
EXECUTION = execution_id(round(AT * 1e6), TIMER)


def row(outcome: str = "succeeded", *, name: str = "work-1", fence: int | None = 10, **fields: Any) -> dict[str, Any]:
    return {
        "id": EXECUTION, "name": name, "scheduled_for": AT, "attempt": 1, "outcome": outcome, "fence": fence,
        "node": "node-0", "started_at": AT + 0.1, "finished_at": AT + 0.2, "reason": None, **fields,
    }  # fmt: skip


def start(at: float = AT + 0.1, fence: int = 10, **fields: Any) -> dict[str, Any]:
    return {
        "phase": "start", "execution": EXECUTION, "name": "work-1", "attempt": 1, "fence": fence, "node": "node-0",
        "pid": 100, "kind": "handler", "t": at, **fields,
    }  # fmt: skip


@pytest.fixture
def run() -> Run:
    """One timer that was created, started once, and succeeded."""
    created = {"op": "create", "type": "ok", "group": "work", "name": "work-1", "at": AT, "t": AT - 2}
    return Run([created], [start()], [row()], [], calm_until=AT + 60, created_until=AT + 60)


def kinds(run: Run) -> set[str]:
    return {words.partition(":")[0] for words in check(run).violations}


def lost_attempt() -> dict[str, Any]:
    return row("lost", id=try_id(EXECUTION, 1), fence=10)


def test_a_clean_run_passes(run: Run) -> None:
    assert check(run).exit_code == 0


def test_a_timer_without_an_outcome_is_lost(run: Run) -> None:
    run.ledger.clear()
    run.effects.clear()
    assert kinds(run) == {"lost"}


def test_a_timer_whose_creation_was_not_acknowledged_may_be_there_or_not(run: Run) -> None:
    run.history[0]["type"] = "info"
    assert check(run).counts["recovered"] == 1
    run.ledger.clear()
    run.effects.clear()
    assert (check(run).exit_code, check(run).counts["absent"]) == (0, 1)


def test_a_cancelled_timer_needs_no_outcome_and_must_not_start(run: Run) -> None:
    run.history.append({"op": "cancel", "type": "ok", "name": "work-1", "in_flight": [], "t": AT - 1})
    assert kinds(run) == {"after cancel"}
    run.effects.clear()
    run.ledger.clear()
    assert kinds(run) == set()


def test_a_cancel_that_names_what_is_in_flight_allows_its_start(run: Run) -> None:
    run.history.append({"op": "cancel", "type": "ok", "name": "work-1", "in_flight": [EXECUTION], "t": AT - 1})
    assert kinds(run) == set()


def test_an_outcome_that_nobody_asked_for_is_unexpected(run: Run) -> None:
    run.ledger[0]["name"] = "stranger"
    assert kinds(run) == {"lost", "unexpected"}


def test_a_second_outcome_is_found(run: Run) -> None:
    run.ledger.append(row("failed"))
    assert "two outcomes" in kinds(run)


def test_a_start_before_the_instant_is_early(run: Run) -> None:
    run.effects[0]["t"] = AT - 0.01
    assert kinds(run) == {"early"}


def test_a_second_start_is_explained_by_a_lost_attempt_only(run: Run) -> None:
    run.effects.append(start(AT + 5, fence=11))
    run.ledger[0] |= {"fence": 11, "attempt": 2, "finished_at": AT + 5.1}
    assert kinds(run) == {"unexplained"}
    run.ledger.append(lost_attempt())
    assert check(run).exit_code == 0


def test_fences_of_one_execution_rise(run: Run) -> None:
    run.effects.append(start(AT + 5, fence=9))
    run.ledger.append(lost_attempt())
    assert "fence order" in kinds(run)


def test_an_outcome_under_an_old_fence_is_stale(run: Run) -> None:
    run.effects.append(start(AT + 0.15, fence=11))
    run.ledger.append(lost_attempt())
    assert kinds(run) == {"stale"}


def test_a_start_after_the_outcome_is_stale(run: Run) -> None:
    run.effects.append(start(AT + 9, fence=11))
    run.ledger.append(lost_attempt())
    assert kinds(run) == {"stale"}


def test_every_instant_of_a_recurring_timer_has_an_outcome(run: Run) -> None:
    run.history.append({"op": "beat", "name": "beat-1", "at": AT, "period": 5, "t": AT})
    beats = [
        row(name="beat-1", id=execution_id(round((AT + 5 * n) * 1e6), 8), scheduled_for=AT + 5 * n) for n in range(12)
    ]
    run.ledger += beats
    assert kinds(run) == set()
    run.ledger.remove(beats[4])
    assert kinds(run) == {"missed beats"}


@pytest.mark.parametrize(("after", "found"), [(4.9, set()), (5.2, {"slow restart"})])
def test_what_a_killed_node_ran_starts_again_in_time(run: Run, after: float, found: set[str]) -> None:
    run.nemeses.append({"nemesis": "kill", "phase": "begin", "pids": [100], "t": AT + 0.2})
    run.effects.append(start(AT + 0.2 + after, fence=11, pid=200))
    run.ledger[0] |= {"fence": 11, "finished_at": AT + 9}
    run.ledger.append(lost_attempt())
    assert kinds(run) == found


def test_firing_goes_on_in_time_after_the_database_is_back(run: Run) -> None:
    run.nemeses.append({"nemesis": "dbrestart", "phase": "end", "t": AT - 9})
    assert check(run).firing_again == pytest.approx(9.1, abs=0.01)
    run.nemeses[0]["t"] = AT - 11
    assert kinds(run) == {"slow recovery"}


def test_a_run_in_which_a_planned_fault_never_struck_proves_nothing(run: Run) -> None:
    verdict = check(copy.deepcopy(run), ["kill"])
    assert (verdict.exit_code, verdict.missing) == (3, ["kill did not strike: no reason was recorded"])


def test_a_fault_that_hit_nothing_in_flight_proves_nothing(run: Run) -> None:
    run.nemeses += [
        {"nemesis": "kill", "phase": "begin", "pids": [100], "t": AT + 5},
        {"nemesis": "kill", "phase": "end", "pids": [100], "t": AT + 9},
    ]
    run.ledger.append(lost_attempt())
    verdict = check(run, ["kill"])
    assert verdict.exit_code == 3
    assert verdict.missing == ["kill hit nothing that was started again: its bound was not measured"]


def test_what_is_left_at_the_end_is_a_violation(run: Run) -> None:
    run.left_over = 2
    assert kinds(run) == {"left over"}


def test_nodes_that_end_a_rolling_restart_with_an_error_are_a_violation(run: Run) -> None:
    run.nemeses.append({"nemesis": "rolling", "phase": "end", "codes": [0, 1, 0], "t": AT})
    assert kinds(run) == {"exit code"}
