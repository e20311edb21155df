"""timerbench with real workers: its figures are whole, and it leaves nothing behind."""

from __future__ import annotations

import json

import pytest

from tests.cluster.field import Field

pytestmark = [pytest.mark.cluster, pytest.mark.django_db(transaction=True)]


def test_a_drain_is_measured_beside_the_raw_limit(field: Field) -> None:
    report = json.loads(
        field.manage("timerbench", "drain", "--json", "--executions", "500", "--runs", "1", "--held-snapshot")
    )
    figures = report["figures"]
    for run in (*figures["runs"], figures["held_snapshot"]):
        assert (run["executions"], run["other_rows"]) == (500, 0)
    assert figures["raw_runs"][0]["complete"]
    assert figures["of_raw"] == pytest.approx(figures["per_second"] / figures["raw_per_second"], abs=0.01)
    assert report["versions"]["postgresql"]
    assert nothing_is_left(field)


def test_a_drain_by_two_nodes_counts_the_workers_of_both(field: Field) -> None:
    words = ("--executions", "2000", "--runs", "1", "--nodes", "2", "--workers", "1")
    report = json.loads(field.manage("timerbench", "drain", "--json", *words))
    (run,), (raw,) = report["figures"]["runs"], report["figures"]["raw_runs"]
    assert (report["asked"]["nodes"], run["executions"], run["other_rows"]) == (2, 2000, 0)
    assert run["by_worker"].keys() == {"1/1", "2/1"}
    assert sum(run["by_worker"].values()) == 2000
    assert (raw["processes"], raw["complete"]) == (2, True)
    assert nothing_is_left(field)


def test_lateness_counts_every_timer_and_none_is_early(field: Field) -> None:
    figures = json.loads(
        field.manage("timerbench", "lateness", "--json", "--rate", "50", "--seconds", "2", "--created-ahead-ms", "200")
    )["figures"]
    assert (figures["executions"], figures["early"]) == (100, 0)
    assert nothing_is_left(field)


def test_chains_count_every_step_and_the_time_between_steps(field: Field) -> None:
    words = ("--executions", "50", "--runs", "1", "--workers", "2")
    figures = json.loads(field.manage("timerbench", "chains", "--json", *words))["figures"]
    (run,) = figures["runs"]
    assert (run["orders"], run["steps"]) == (50, 200)
    assert figures["steps_per_second"] == run["steps_per_second"] > 0
    assert figures["overhead_ms"]["gaps"] == 750
    assert 0 < figures["overhead_ms"]["p50"] <= figures["overhead_ms"]["p99"] <= figures["overhead_ms"]["most"]
    assert nothing_is_left(field)


def nothing_is_left(field: Field) -> bool:
    tables = (
        "timers_timer_group",
        "timers_timer",
        "timers_claim",
        "timers_waiting",
        "timers_attempt",
        "timers_node",
        "timers_chain",
        "timers_chain_order",
    )
    return all(field.value(f"SELECT count(*) FROM {table}") == 0 for table in tables)
