"""Overlap policies over several nodes with two workers each, one of which is killed."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.cluster.field import Field, eventually

pytestmark = [pytest.mark.cluster, pytest.mark.django_db(transaction=True)]

_TIMER = """
from timers.scheduling import ensure_group, schedule_fixed_rate
ensure_group("work", retry={{"max_retries": 20, "min_backoff": 0.1, "max_backoff": 1}}, overlap_policy={policy!r})
schedule_fixed_rate("work", "one", period={period}, handler={handler!r}, max_fires={fires})
"""


def _schedule(field: Field, **words: object) -> None:
    field.run(_TIMER.format(**words))


def _is_over(field: Field) -> bool:
    return bool(
        field.value(
            "SELECT state = 'finished' AND open_execution IS NULL AND NOT EXISTS (SELECT 1 FROM timers_waiting)"
            " AND NOT EXISTS (SELECT 1 FROM timers_claim) FROM timers_timer"
        )
    )


def _ends(field: Field) -> Counter[str]:
    return Counter(dict(field.rows("SELECT outcome, count(*) FROM timers_attempt GROUP BY 1")))


def test_a_queue_never_runs_two_at_once_over_four_workers_and_a_kill(field: Field) -> None:
    field.start("a", "--workers", "2")
    field.start("b", "--workers", "2")
    _schedule(field, policy="queue", period=0.1, handler="cluster.alone", fires=24)
    field.wait_until_succeeded(8)
    holder = field.value("SELECT n.name FROM timers_claim c JOIN timers_node n ON n.id = c.node_id LIMIT 1")
    field.kill(holder or "a")
    eventually(lambda: _is_over(field), within=60)
    ends = _ends(field)
    assert ends["succeeded"] == 24
    assert ends["failed"] == ends["error"] == 0, "two at once"
    # Every occurrence from the first to the last has one final row, or is counted by one.
    first, last, rows, more = field.rows(
        "SELECT min(scheduled_for), max(scheduled_for), count(*), sum(missed_count) FROM timers_attempt"
        " WHERE outcome IN ('succeeded', 'skipped')"
    )[0]
    assert rows + more == round((last - first).total_seconds() / 0.1) + 1


def test_the_one_that_is_replaced_ends_before_the_next_begins(field: Field) -> None:
    field.start("a", "--workers", "2")
    field.start("b", "--workers", "2")
    _schedule(field, policy="replace", period=0.5, handler="cluster.patient", fires=8)
    # The last one runs on: nothing comes that would replace it.
    last = (
        "SELECT state = 'finished' AND NOT EXISTS (SELECT 1 FROM timers_waiting)"
        " AND (SELECT sum(cardinality(executions)) = 1 AND bool_and(revoked IS NULL) FROM timers_claim)"
        " FROM timers_timer"
    )
    eventually(lambda: field.value(last), within=30)
    ends = _ends(field)
    assert ends["cancelled"] + ends["skipped"] >= 7
    assert ends["cancelled"] >= 3
    assert ends["failed"] == ends["error"] == 0, "two at once"
    longest = field.value(
        "SELECT max(extract(epoch FROM finished_at - started_at)) FROM timers_attempt WHERE outcome = 'cancelled'"
    )
    assert longest < 3, "it was asked to end by the next fire, half a second later"
