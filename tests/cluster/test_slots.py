"""Which free threads of a real node slow work gets, next to quick work."""

from __future__ import annotations

import pytest

from tests.cluster.field import Field, eventually

pytestmark = [pytest.mark.cluster, pytest.mark.django_db(transaction=True)]

_SCHEDULE = """
from timers.scheduling import ensure_group, schedule_many
ensure_group({group!r})
schedule_many([dict(kind="once", group={group!r}, name=f"{{n}}", after={after} + n * {apart}, handler="cluster.rest",
                    payload={seconds}) for n in range({count})])
"""


def schedule(field: Field, group: str, count: int, seconds: float, *, after: float = 0, apart: float = 0) -> None:
    """Schedule one-shots of `cluster.rest`, the first in `after` seconds, the others `apart` seconds later each."""
    words = {"group": group, "count": count, "seconds": seconds, "after": after, "apart": apart}
    field.run(_SCHEDULE.format(**words))


def test_slow_executions_take_all_threads_though_their_handler_is_quick_elsewhere(field: Field) -> None:
    field.start("a", "--workers", "1", "--threads", "8")
    schedule(field, "quick", 50, 0.01)
    field.wait_until_succeeded(50)
    schedule(field, "slow", 4, 60)
    eventually(lambda: len(field.calls()) == 54)
    schedule(field, "further", 4, 60)
    eventually(lambda: len(field.calls()) == 58, within=5)


def test_slow_work_gets_a_free_thread_though_much_quick_work_is_claimed_ahead(field: Field) -> None:
    field.start("a", "--workers", "1", "--threads", "8")
    # Three threads' worth of work, of which more is claimed ahead than eight threads could do at once.
    schedule(field, "quick", 1500, 0.03, after=1, apart=0.01)
    field.wait_until_succeeded(150)
    schedule(field, "slow", 6, 1, after=1, apart=0.7)
    late = (
        "SELECT extract(epoch FROM a.started_at - a.scheduled_for)::float8 FROM timers_attempt a"
        " JOIN timers_timer_group g ON g.id = a.group_id WHERE g.name = 'slow'"
    )
    rows = eventually(lambda: found if len(found := field.rows(late)) == 6 else [], within=30)
    assert sorted(rows)[3] < (1,), f"half of it waited for the end of the quick work: {rows}"
