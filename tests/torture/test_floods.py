"""Very many executions at once, a forgotten snapshot under churn, and changes of many timers in opposite order."""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path

import psycopg
import pytest

from tests.cluster.field import Field, eventually, every
from tests.cluster.web import Web, serving
from tests.support.profile import IS_LONG

pytestmark = [pytest.mark.torture, pytest.mark.django_db(transaction=True)]

FLOOD = 1_000_000 if IS_LONG else 30_000
CHURN = 60_000 if IS_LONG else 15_000
MEGABYTES = 300
"""Resident memory of a worker, at most."""
CANARIES = 20

_CANARY = """
from timers.scheduling import ensure_group, schedule_fixed_rate
ensure_group("canary")
schedule_fixed_rate("canary", "canary", period={period}, handler="cluster.count")
"""
_FLOOD = """
from datetime import timedelta
from timers import clock
from timers.scheduling import ensure_group, schedule_many
ensure_group("flood", action={{"handler": "cluster.count"}})
at = clock.now() + timedelta(seconds={seconds})
for first in range(0, {count}, 10_000):
    numbers = range(first, min(first + 10_000, {count}))
    schedule_many([dict(kind="once", group="flood", name=f"flood-{{n}}", at=at) for n in numbers])
"""
_LATE = """
SELECT extract(epoch FROM a.started_at - a.scheduled_for)::float8 FROM timers_attempt a
WHERE a.name = 'canary' AND a.scheduled_for > %s ORDER BY 1
"""


def lateness_of_canaries(field: Field, since: object) -> list[float]:
    """The lateness in seconds of a regular timer in a group of its own, since an instant; sorted."""
    return [late for (late,) in field.rows(_LATE, since)]


def flood(field: Field, count: int) -> None:
    """Make that many timers of one instant, which comes when all have been made."""
    field.run(_FLOOD.format(count=count, seconds=2 + count / 2500))


def ended(field: Field) -> int:
    return int(field.value("SELECT count(*) FROM timers_attempt WHERE name LIKE 'flood%%' AND outcome = 'succeeded'"))


def resident_megabytes(pid: int) -> float:
    with Path(f"/proc/{pid}/status").open() as lines:
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


@pytest.mark.alone
def test_a_flood_of_one_group_delays_no_other_and_fills_no_memory(field: Field) -> None:
    field.start("a", "--workers", "2")
    field.run(_CANARY.format(period=1))
    since = field.value("SELECT timers_now()")
    flood(field, FLOOD)
    most = 0.0
    for _ in every(0.5, lambda: ended(field) == FLOOD):
        most = max(most, *(resident_megabytes(pid) for pid in field.worker_pids("a")))
    late = lateness_of_canaries(field, since)
    assert late[-1] <= 5
    assert most <= MEGABYTES
    assert field.value("SELECT count(*) FROM timers_cluster_event WHERE kind = 'node died'") == 0
    twice = "SELECT count(*) - count(DISTINCT timer_id) FROM timers_attempt WHERE name LIKE 'flood%%'"
    assert field.value(twice) == 0


@pytest.mark.alone
def test_a_forgotten_snapshot_under_churn_delays_nobody(field: Field) -> None:
    field.start("a", "--workers", "2")
    with psycopg.connect(field.address) as forgotten:
        forgotten.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        forgotten.execute("SELECT count(*) FROM timers_timer")
        flood(field, CHURN)
        eventually(lambda: ended(field) == CHURN, within=300)
        field.run(_CANARY.format(period=0.25))
        since = field.value("SELECT timers_now()")
        eventually(lambda: len(lateness_of_canaries(field, since)) >= CANARIES, within=CANARIES + 20)
    late = lateness_of_canaries(field, since)
    assert late[int(len(late) * 0.9)] <= 0.5, "dead rows that nobody can clean up are not walked by each claim"


def test_changes_of_many_timers_in_opposite_order_answer_no_server_error(field: Field) -> None:
    names = [f"t-{number}" for number in range(200)]
    answers: Counter[int] = Counter()
    with serving(field) as web:
        field.run("from timers.scheduling import ensure_group; ensure_group('work')")
        field.start("a", "--workers", "1")
        changing = [threading.Thread(target=change, args=(web, answers, order)) for order in (names, names[::-1])]
        changing.append(threading.Thread(target=pause_and_resume, args=(web, answers)))
        for thread in changing:
            thread.start()
        for thread in changing:
            thread.join(120)
    assert not [status for status in answers if status >= 500], answers
    assert answers.total() >= 40
    assert "deadlock" not in field.log("a")


def change(web: Web, answers: Counter[int], names: list[str]) -> None:
    """Replace all timers in this order, again and again; they are due at once."""
    batch = [{"kind": "once", "name": name, "after": 0.2, "handler": "cluster.count"} for name in names]
    for _ in range(15):
        status, _, _ = web.ask("POST", "/groups/work/timers/bulk?on_conflict=replace&atomic=true", batch)
        answers[status] += 1


def pause_and_resume(web: Web, answers: Counter[int]) -> None:
    for _ in range(10):
        for verb in ("pause", "resume"):
            status, _, _ = web.ask("POST", f"/groups/work/{verb}", {})
            answers[status] += 1
