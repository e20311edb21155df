"""Real workers whose parts are ended from inside: each end is logged, the worker is replaced, nothing stays behind."""

from __future__ import annotations

import time

import pytest

from tests.cluster.field import Field, eventually
from tests.support.hostile import HOSTILE

pytestmark = [pytest.mark.cluster, pytest.mark.django_db(transaction=True)]

TRIED = "SELECT outcome, error_title, reason FROM timers_attempt WHERE name = %s ORDER BY id"
LAST = "SELECT max(finished_at - started_at) < INTERVAL '1 s' FROM timers_attempt WHERE name = %s"


def prepare(field: Field, *, max_retries: int = 0) -> None:
    field.run(_GROUP.format(max_retries=max_retries))


def schedule(field: Field, name: str, handler: str, payload: object = None) -> None:
    field.run(_ONE.format(name=name, handler=handler, payload=payload))


@pytest.mark.parametrize("component", ["claimer", "agenda", "recorder", "listener", "event-loop"])
def test_worker_is_replaced_within_five_seconds_when_a_thread_ends(field: Field, component: str) -> None:
    prepare(field, max_retries=5)
    field.start("a", "--workers", "1")
    (before,) = eventually(lambda: field.worker_pids("a"))
    schedule(field, "ends", "cluster.end_thread", component)
    eventually(field.calls)
    # A thread that waits sees what ends it when it is woken: the agenda by something that comes due later.
    field.run(_LATER)
    eventually(lambda: f"{component} ended: SystemExit" in field.log("a"))
    seen = time.monotonic()
    eventually(lambda: any(pid != before for pid in field.worker_pids("a")), within=5)
    eventually(lambda: before not in field.worker_pids("a"), within=10)
    assert time.monotonic() - seen < 10
    schedule(field, "next", "cluster.count")
    eventually(lambda: field.value("SELECT count(*) FROM timers_attempt WHERE name = 'next'"))
    event = "SELECT count(*) FROM timers_cluster_event WHERE detail LIKE %s"
    assert field.value(event, f"%{component} ended: SystemExit%")


def test_worker_is_replaced_when_a_thread_ends_below_the_interpreter(field: Field) -> None:
    prepare(field)
    field.start("a", "--workers", "1")
    schedule(field, "ends", "cluster.pthread_exit")
    eventually(lambda: "its system thread ended below the interpreter" in field.log("a"))
    rows = eventually(lambda: field.rows(TRIED, "ends"), within=15)
    assert rows[0][0] == "lost"
    assert "handler-" in rows[0][2]
    schedule(field, "next", "cluster.count")
    eventually(lambda: field.value("SELECT count(*) FROM timers_attempt WHERE name = 'next'"))


@pytest.mark.parametrize(
    ("handler", "title"),
    [
        ("cluster.background_exit", "SystemExit: 7"),
        ("cluster.child_exit", "SystemExit: 8"),
        (
            "cluster.stop_loop",
            "RuntimeError: the event loop is its worker's: stop() is refused",
        ),
    ],
)
def test_handler_that_ends_the_event_loop_fails_alone_and_at_once(field: Field, handler: str, title: str) -> None:
    prepare(field)
    field.start("a", "--workers", "1")
    (worker,) = eventually(lambda: field.worker_pids("a"))
    schedule(field, "ends", handler)
    rows = eventually(lambda: field.rows(TRIED, "ends"))
    assert (rows[0][0], rows[0][1]) == ("error", title)
    assert field.value(LAST, "ends")
    assert field.worker_pids("a") == [worker]


def test_loop_that_is_stopped_below_its_guard_goes_on(field: Field) -> None:
    prepare(field)
    field.start("a", "--workers", "1")
    (worker,) = eventually(lambda: field.worker_pids("a"))
    schedule(field, "ends", "cluster.stop_loop_below")
    rows = eventually(lambda: field.rows(TRIED, "ends"))
    assert rows[0][0] == "succeeded"
    assert "the event loop was stopped by a handler" in field.log("a")
    assert field.worker_pids("a") == [worker]


@pytest.mark.parametrize("handler", ["cluster.close_selector", "cluster.block_behind"])
def test_worker_is_replaced_when_its_event_loop_can_do_nothing_more(field: Field, handler: str) -> None:
    prepare(field)
    field.start("a", "--workers", "1")
    (before,) = eventually(lambda: field.worker_pids("a"))
    schedule(field, "ends", handler)
    eventually(lambda: "must be replaced: event-loop" in field.log("a"))
    eventually(lambda: any(pid != before for pid in field.worker_pids("a")), within=5)
    eventually(lambda: before not in field.worker_pids("a"), within=10)


def test_whatever_a_handler_raises_is_recorded(field: Field) -> None:
    prepare(field)
    field.start("a", "--workers", "1")
    field.run(_HOSTILE.format(names=list(HOSTILE)))
    count = "SELECT count(*) FROM timers_attempt WHERE outcome = 'error'"
    eventually(lambda: field.value(count) == 2 * len(HOSTILE), within=60)
    assert field.value("SELECT count(*) FROM timers_attempt WHERE outcome <> 'error'") == 0
    assert "handler-" not in field.log("a")


_GROUP = """
from timers.scheduling import ensure_group
ensure_group("work", retry={{"max_retries": {max_retries}, "min_backoff": 60, "max_backoff": 60}})
"""

_ONE = """
from timers.scheduling import schedule_once
schedule_once("work", {name!r}, after=0, handler={handler!r}, payload={payload!r})
"""

_LATER = """
from timers.scheduling import schedule_once
schedule_once("work", "later", after=0.5, handler="cluster.count")
"""

_HOSTILE = """
from timers.scheduling import schedule_once
for number, name in enumerate({names!r}):
    for handler in ("cluster.raise", "cluster.raise_async"):
        schedule_once("work", f"{{handler}}-{{number}}", after=0, handler=handler, payload=name)
"""
