from __future__ import annotations

from typing import Any

import pytest

from tests import factories
from timers import clock
from timers.domain.execution_id import try_id
from timers.insights import executions

pytestmark = pytest.mark.django_db


def test_the_newest_occurrences_come_first_with_their_group() -> None:
    timer = factories.timer("it", in_group=factories.group("here"))
    factories.attempt(timer, ago=300)
    newest = factories.attempt(timer, ago=10)

    first, second = executions.latest()

    assert (first.id, first.group, first.name) == (newest.pk, "here", "it")
    assert first.scheduled_for > second.scheduled_for
    assert first.lateness_ms == pytest.approx(12)
    assert first.run_ms == pytest.approx(36)


def test_history_outlives_its_group() -> None:
    timer = factories.timer()
    factories.attempt(timer)
    timer.delete()
    timer.group.delete()

    (row,) = executions.latest()

    assert (row.group, row.name) == ("", timer.name)


def test_pages_follow_each_other_without_gap_or_repeat() -> None:
    timer = factories.timer()
    for ago in range(7):
        factories.attempt(timer, ago=100 + ago)
    seen, before = [], None
    while page := executions.latest(3, before=before):
        seen += [row.id for row in page]
        before = page[-1].id

    assert len(seen) == len(set(seen)) == 7
    assert seen == sorted(seen, reverse=True)


def test_the_history_of_one_timer_is_its_own() -> None:
    mine, other = factories.timer(), factories.timer()
    factories.attempt(mine)
    factories.attempt(other)

    assert [row.timer_id for row in executions.latest(timer_id=mine.pk)] == [mine.pk]


def test_all_tries_of_an_execution_are_told_in_order_the_final_one_last() -> None:
    timer = factories.timer()
    final = factories.attempt(timer, "failed", number=3)
    for number in (2, 1):
        factories.attempt(
            timer, "error", number=number, id=try_id(str(final.pk), number), scheduled_for=final.scheduled_for
        )

    rows = executions.attempts_of(final.pk)

    assert [(row.attempt, row.outcome) for row in rows] == [(1, "error"), (2, "error"), (3, "failed")]
    assert {row.execution for row in rows} == {final.pk}


def test_retries_and_skips_have_no_lateness() -> None:
    timer = factories.timer()
    factories.attempt(timer, "error", number=2)
    factories.attempt(timer, "skipped", ago=30)

    assert [row.lateness_ms for row in executions.latest()] == [None, None]


def test_only_the_first_line_of_an_error_is_read_for_a_list() -> None:
    factories.attempt(factories.timer(), "failed", error_title="KeyError: 'x'\nmore\nlines")

    assert executions.latest()[0].error_title == "KeyError: 'x'"


def test_what_is_held_names_worker_and_fence() -> None:
    claim = factories.claim(factories.node("node-a"), factories.timer(), executions=4, worker=2)

    (batch,) = executions.held()

    assert (batch.fence, batch.node, batch.worker, batch.executions) == (claim.id, "node-a", 2, 4)


def test_what_waits_is_told_by_state_and_paged() -> None:
    timer = factories.timer()
    for ago in (10, 20, 30):
        factories.waiting(timer, ago=ago)
    factories.waiting(timer, "ready", ago=5)

    first = executions.waiting("failed", limit=2)
    rest = executions.waiting("failed", before=first[-1].id)

    assert (len(first), len(rest)) == (2, 1)
    assert rest[0].error_title == "ValueError: no such vendor"
    assert [row.state for row in executions.waiting("ready", timer_id=timer.pk)] == ["ready"]


def test_each_list_is_one_statement(django_assert_num_queries: Any) -> None:
    timer = factories.timer()
    for ago in range(5):
        factories.attempt(timer, ago=ago + 1)
        factories.waiting(timer, ago=ago + 1)
    with django_assert_num_queries(3):
        executions.latest()
        executions.waiting("failed")
        executions.held()


def test_what_is_scheduled_for_later_can_be_left_out() -> None:
    timer = factories.timer()
    factories.attempt(timer, ago=-3600)
    happened = factories.attempt(timer, ago=1)
    assert [row.id for row in executions.latest(1, until=clock.now())] == [happened.pk]
