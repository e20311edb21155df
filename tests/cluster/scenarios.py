"""What the cluster must stand, in any size: the quick tests and the torture profile run the same."""

from __future__ import annotations

import os
import random
import signal
import time

from tests.cluster.field import Field, eventually, every

RUNNING = 8
"""Executions that run on two nodes while one of them is killed."""


def workers_killed(field: Field, count: int, *, every_seconds: float, at_most: int = 1_000) -> int:
    """One node under load, a random worker of it killed -9 again and again; returns how many were.

    It ends when four fifths of the load are done, or `at_most` workers were killed.
    """
    field.start("a")
    field.schedule("cluster.work", count)
    killed: list[int] = []
    for _ in every(every_seconds, lambda: len(killed) == at_most or field.succeeded() >= count * 0.8):
        pids = field.worker_pids("a")
        if len(pids) > 1 and field.calls():
            killed.append(random.choice(pids))
            os.kill(killed[-1], signal.SIGKILL)
    field.wait_until_succeeded(count, within=120)
    field.stop("a")
    field.check_ledger(count)
    return len(killed)


def node_killed(field: Field, count: int) -> float:
    """Two nodes under load, one killed -9; seconds from the kill to the first new start of what it ran."""
    field.start("a")
    field.start("b")
    # For one lease after a start of the server nobody is declared dead.
    eventually(lambda: field.value("SELECT clock_timestamp() - pg_postmaster_start_time() > INTERVAL '10 s'"))
    # Long enough to be running still when the node is killed.
    field.schedule("cluster.slow_first", RUNNING, payload=10)
    eventually(lambda: len(field.calls()) == RUNNING)
    field.schedule("cluster.work", count)
    eventually(lambda: field.succeeded() > count // 10)
    assert field.value("SELECT count(*) FROM timers_claim c JOIN timers_node n ON n.id = c.node_id WHERE n.name = 'a'")
    field.kill("a")
    killed_at = time.time()
    field.wait_until_succeeded(RUNNING + count, within=120)
    field.stop("b")
    field.check_ledger(RUNNING + count)
    return min(call.at for call in field.calls() if call.number_of_try > 1) - killed_at


def drained(field: Field, count: int) -> None:
    """SIGTERM under load: what had not begun is given back with its try, another node ends it, nothing runs twice."""
    field.start("a")
    field.schedule("cluster.work", count)
    eventually(lambda: field.succeeded() > count // 10)
    assert field.stop("a", within=30) == 0
    assert field.value("SELECT count(*) FROM timers_claim") == 0
    assert field.value("SELECT state FROM timers_node WHERE name = 'a'") == "stopped"
    waiting = field.rows("SELECT DISTINCT state, attempt FROM timers_waiting")
    assert waiting in ([], [("ready", 0)])
    field.start("b")
    field.wait_until_succeeded(count, within=120)
    field.stop("b")
    field.check_ledger(count)
    assert field.value("SELECT count(*) FROM timers_attempt WHERE outcome <> 'succeeded' OR attempt <> 1") == 0


def spoiled(field: Field, count: int, kinds: tuple[str, ...]) -> None:
    """Handlers that leave something behind among others that write: those fail, these lose nothing."""
    field.start("a", "--workers", "1")
    field.run(_SPOILED.format(count=count, kinds=kinds))
    ended = "SELECT count(*) FROM timers_attempt WHERE outcome IN ('succeeded', 'failed', 'error')"
    eventually(lambda: field.value(ended) >= count + len(kinds), within=120)
    errors = dict(field.rows("SELECT name, error_title FROM timers_attempt WHERE outcome = 'error'"))
    assert set(errors) == {f"leaves-{kind}" for kind in kinds}, errors
    assert all(title.startswith("the handler left behind: ") for title in errors.values())
    assert field.succeeded() == count
    assert field.value("SELECT count(*) FROM timers_timer_group WHERE name LIKE 'written-%%'") == count
    assert field.value("SELECT count(*) FROM timers_timer_group WHERE name = 'lost'") == 0


_SPOILED = """
from timers.scheduling import ensure_group, schedule_many
ensure_group("work", retry={{"max_retries": 0}})
kinds = list({kinds!r})
items = [dict(kind="once", group="work", name=f"w-{{n}}", after=2, handler="cluster.write") for n in range({count})]
for place, kind in enumerate(kinds, 1):
    item = dict(kind="once", group="work", name=f"leaves-{{kind}}", after=2, handler="cluster.leave", payload=kind)
    items.insert(place * len(items) // (len(kinds) + 1), item)
schedule_many(items)
"""
