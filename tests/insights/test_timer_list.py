"""The timers of a group by name, a page at a time."""

from __future__ import annotations

from unittest.mock import ANY

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests import factories
from tests.support.plans import Read, reads
from timers.insights.timer_list import Place, list_timers
from timers.models import TimerGroup
from timers.scheduling import schedule_many

COUNT, LIMIT = 2000, 20


@pytest.fixture
def crowded(transactional_db: None) -> TimerGroup:
    """A group of many timers beside another one, known to the planner."""
    group = factories.group("crowded", action={"handler": "timerbench.noop"})
    other = factories.group("other", action=group.action)
    for name in (group.name, other.name):
        schedule_many([{"kind": "once", "group": name, "name": f"t{n:04}", "after": 3600} for n in range(COUNT)])
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE timers_timer, timers_timer_group")
    return group


def read_by(group: TimerGroup, after: Place | None) -> tuple[list[str], Place | None, list[Read]]:
    """The names of a page, where the next begins, and what was read for it."""
    with CaptureQueriesContext(connection) as asked:
        page = list_timers(group.id, after=after, limit=LIMIT)
    (statement,) = [query["sql"] for query in asked]
    return [timer.name for timer in page.timers], page.next, reads(statement)


def test_a_page_far_back_reads_no_more_than_the_first_and_nothing_in_vain(crowded: TimerGroup) -> None:
    _, second, first_reads = read_by(crowded, None)
    names, _, far_reads = read_by(crowded, Place(f"t{COUNT - 1 - LIMIT:04}", 2**60))
    assert second == Place(f"t{LIMIT - 1:04}", ANY)
    assert names == [f"t{n:04}" for n in range(COUNT - LIMIT, COUNT)]
    for read in (*first_reads, *far_reads):
        assert "Seq" not in read.kind and read.index, read
        # One tells that there is a next page, and one that all of that name have come.
        assert read.rows <= LIMIT + 2
