"""A primary and a standby under real nodes and a real web server: failover, a former primary that comes back, and a
standby that goes away."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.field import ROOT, Field, eventually
from tests.cluster.web import Web, serving
from tests.support.replicas import Replicas

pytestmark = pytest.mark.cluster

TIMER = {"kind": "once", "handler": "cluster.count"}
UNKNOWN = "The outcome of the commit is unknown. Repeat with the same Idempotency-Key."


@pytest.fixture
def replicas(tmp_path: Path) -> Iterator[Replicas]:
    made = Replicas(tmp_path)
    try:
        yield made
    finally:
        made.stop()


@pytest.fixture
def served(replicas: Replicas, tmp_path: Path) -> Iterator[Field]:
    """Nodes and web on both hosts, the first of which is the primary."""
    field = Field(replicas.address, tmp_path, {"TIMERS_VAR": str(tmp_path / "var")})
    try:
        field.migrate()
        field.run("from timers.scheduling import ensure_group; ensure_group('work')")
        yield field
    finally:
        field.end()


def create(web: Web, name: str, **headers: str) -> tuple[int, str]:
    status, _, body = web.ask("POST", "/groups/work/timers", TIMER | {"name": name, "after": 0}, **headers)
    return status, str(body.get("detail", "")) if body else ""


def created_in_the_end(web: Web, name: str) -> None:
    eventually(lambda: create(web, name, Idempotency_Key=name)[0] == 201, within=20)


def timers_on(replicas: Replicas, server: object) -> set[str]:
    return {name for (name,) in replicas.execute(server, "SELECT name FROM timers_timer")}  # type: ignore[arg-type]


def accept(field: Field, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", "acceptdatabase", *words],
        cwd=ROOT, env=field.environment, capture_output=True, text=True,
    )  # fmt: skip


def test_a_former_primary_that_comes_back_first_in_the_address_gets_nothing(replicas: Replicas, served: Field) -> None:
    served.start("a", "--workers", "1")
    with serving(served) as web:
        created_in_the_end(web, "before")
        replicas.fail_over()
        created_in_the_end(web, "after")
        replicas.bring_back_old()
        # All sessions with the new primary end: everybody connects anew, and the former primary is asked first.
        replicas.execute(
            replicas.new, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'timers'"
        )
        for number in range(20):
            created_in_the_end(web, f"later-{number}")
        assert timers_on(replicas, replicas.old) == {"before"}
        assert {f"later-{number}" for number in range(20)} <= timers_on(replicas, replicas.new)
        eventually(
            lambda: (
                replicas.execute(
                    replicas.new,
                    "SELECT count(*) FROM timers_attempt WHERE outcome = 'succeeded' AND name LIKE 'later-%'",
                )
                == [(20,)]
            ),
            within=30,
        )
        assert replicas.execute(replicas.new, "SELECT max(n) FROM (SELECT count(*) AS n FROM timers_attempt"
                                " WHERE outcome = 'succeeded' GROUP BY timer_id) x") == [(1,)]  # fmt: skip


def test_where_only_the_former_primary_answers_it_is_refused_in_words_even_after_a_restart(
    replicas: Replicas, served: Field
) -> None:
    served.start("a", "--workers", "1")
    with serving(served) as web:
        replicas.fail_over()
        created_in_the_end(web, "after")
        eventually(lambda: replicas.execute(replicas.new, "SELECT timeline FROM timers_database_server") == [(2,)])
        replicas.new.stop()
        replicas.bring_back_old()
        eventually(lambda: create(web, "lost")[1].startswith("The database server that answers is not the one"))
        assert create(web, "lost")[0] == 503
        eventually(lambda: "it is on timeline 1, and the service has worked on timeline 2" in served.log("a"))
    # A web process that starts only now remembers by the file of its machine.
    done = accept(served)
    assert "timeline 2" in done.stdout
    assert "It is refused: it is on timeline 1" in done.stdout
    doctor = subprocess.run(
        [sys.executable, "manage.py", "timerdoctor"], cwd=ROOT, env=served.environment, capture_output=True, text=True
    )
    assert doctor.returncode == 1
    assert "The database server is refused: it is on timeline 1" in doctor.stdout
    assert timers_on(replicas, replicas.old) == set()
    # A person who knows better.
    assert "Accepted" in accept(served, "--yes").stdout
    with serving(served) as web:
        created_in_the_end(web, "kept")
    assert timers_on(replicas, replicas.old) == {"kept"}
    done_on_it = "SELECT count(*) FROM timers_attempt WHERE outcome = 'succeeded' AND name = 'kept'"
    eventually(lambda: replicas.execute(replicas.old, done_on_it) == [(1,)], within=30)


def test_a_commit_whose_standby_has_gone_is_answered_503_and_not_counted_as_done(
    replicas: Replicas, served: Field
) -> None:
    with serving(served) as web:
        replicas.make_synchronous()
        assert create(web, "replicated")[0] == 201
        standby = replicas.new.pid()
        assert standby is not None
        stopped = _receivers(standby)
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        try:
            began = time.monotonic()
            assert create(web, "waiting", Idempotency_Key="w") == (503, UNKNOWN)
            assert time.monotonic() - began < 5
            # The answer that was kept is not replicated either.
            assert create(web, "waiting", Idempotency_Key="w") == (503, UNKNOWN)
        finally:
            for pid in stopped:
                os.kill(pid, signal.SIGCONT)
        eventually(lambda: create(web, "waiting", Idempotency_Key="w")[0] == 201, within=30)
    assert timers_on(replicas, replicas.old) == {"replicated", "waiting"}


def test_a_node_runs_nothing_while_its_commits_wait_and_goes_on_afterwards(replicas: Replicas, served: Field) -> None:
    served.settings["TIMERS_LEASE"] = "6"
    served.start("a", "--workers", "1")
    served.start("b", "--workers", "1")
    served.schedule("cluster.slow_first", 4, payload=100)
    eventually(lambda: len(served.calls()) == 4)
    replicas.make_synchronous()
    standby = replicas.new.pid()
    assert standby is not None
    stopped = _receivers(standby)
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    try:
        eventually(lambda: "commits wait for a synchronous standby" in served.log("a"), within=60)
        eventually(lambda: served.worker_pids("a") == [], within=20)
        doctor = subprocess.run(
            [sys.executable, "manage.py", "timerdoctor"],
            cwd=ROOT, env=served.environment, capture_output=True, text=True,
        )  # fmt: skip
        assert doctor.returncode == 1
        assert "wait for a synchronous standby, the longest for" in doctor.stdout
        assert served.stop("b", within=30) == 0
        registering = subprocess.Popen(
            [sys.executable, "manage.py", "runtimerworker", "--name", "c"],
            cwd=ROOT, env=served.environment, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        said = registering.stderr
        assert said is not None
        eventually(lambda: "registration: commits wait for a synchronous standby" in said.readline())
        registering.terminate()
        assert "the node ends before its registration has come through" in said.read()
        assert registering.wait(20) == 1
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
    served.schedule("cluster.count", 20)
    served.wait_until_succeeded(24)
    served.check_ledger(24)


def test_a_wait_that_an_administrator_cancels_is_no_success(replicas: Replicas, served: Field) -> None:
    with serving(served) as web:
        replicas.make_synchronous()
        replicas.new.stop()
        waits = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
        canceller = subprocess.Popen(
            [sys.executable, "-c", _CANCEL, replicas.address_of(replicas.old), waits], stdin=subprocess.DEVNULL
        )
        try:
            assert create(web, "cancelled", Idempotency_Key="c") == (503, UNKNOWN)
        finally:
            canceller.kill()
            canceller.wait()


_CANCEL = """
import sys, time, psycopg
connection = psycopg.connect(sys.argv[1], autocommit=True)
while True:
    connection.execute(sys.argv[2])
    time.sleep(0.05)
"""


def _receivers(postmaster: int) -> list[int]:
    """The processes of a standby that receive and replay."""
    children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
    return [
        int(child)
        for child in children
        if any(word in Path(f"/proc/{child}/cmdline").read_bytes() for word in (b"walreceiver", b"startup"))
    ]
