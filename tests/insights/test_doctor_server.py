"""What the doctor says of the server, its clock, poolers, and settings that are not pinned."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import connection, connections

from timers import clock
from timers.conf import load
from timers.engine.clock_step import Noticed, write_step
from timers.engine.events import record
from timers.insights.doctor import database
from timers.insights.doctor import server as checks
from timers.insights.doctor.clock import clock_steps
from timers.server.commit_waits import CommitWait
from timers.server.identity import Answered
from timers.server.prepare import Session, session_of
from timers.testing import VirtualTime

SERVER = Answered("7001", 1, in_recovery=False, known_identifier="7001", known_timeline=1, acceptance=0)


@pytest.fixture
def role(transactional_db: None) -> Iterator[Callable[[str, str], None]]:
    """Gives the sessions of this test a setting as a role would."""
    options = connections["default"].settings_dict["OPTIONS"]

    def with_setting(name: str, value: str) -> None:
        options["options"] = f"-c {name}={value}".replace(", ", ",\\ ")
        connection.close()

    yield with_setting
    options.pop("options", None)
    connection.close()


def test_settings_that_are_as_they_come_are_no_finding(db: None) -> None:
    assert checks.foreign_settings(clock.now()) == []
    assert checks.server_identity(clock.now()) == []
    assert checks.pooled_sessions(clock.now()) == []


@pytest.mark.parametrize(
    ("setting", "value", "severity"),
    [
        ("default_transaction_read_only", "on", "error"),
        ("session_replication_role", "replica", "warning"),
        ("row_security", "off", "warning"),
        ("idle_session_timeout", "10s", "warning"),
        ("statement_timeout", "500ms", "warning"),
        ("lock_timeout", "1ms", "warning"),
        ("enable_indexscan", "off", "warning"),
        ("plan_cache_mode", "force_generic_plan", "warning"),
    ],
)
def test_a_setting_that_the_service_leaves_alone_is_reported(
    role: Callable[[str, str], None], setting: str, value: str, severity: str
) -> None:
    role(setting, value)
    (finding,) = checks.foreign_settings(clock.now())
    assert (finding.severity, setting in finding.what) == (severity, True)


@pytest.mark.parametrize("setting", ["DateStyle", "default_transaction_isolation"])
def test_what_is_pinned_is_no_finding(role: Callable[[str, str], None], setting: str) -> None:
    role(setting, {"DateStyle": "German, DMY"}.get(setting, "serializable"))
    assert checks.foreign_settings(clock.now()) == []


def test_behind_a_pooler_what_cannot_be_pinned_is_an_error(
    role: Callable[[str, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    role("default_transaction_isolation", "serializable")
    session = replace(session_of(connection), is_pooled=True)
    monkeypatch.setattr(checks, "session_of", lambda _: session)
    found = checks.pooled_sessions(clock.now())
    assert [each.severity for each in found] == ["info", "error"]
    assert "TIMERS_POOL_MODE=session" in found[0].remedy
    assert found[1].what.startswith("default_transaction_isolation is 'serializable'")


def test_a_server_that_is_refused_is_an_error(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = Session(is_pooled=False, server=replace(SERVER, known_timeline=2))
    monkeypatch.setattr(checks, "session_of", lambda _: answers)
    (finding,) = checks.server_identity(clock.now())
    assert finding.severity == "error"
    assert "it is on timeline 1, and the service has worked on timeline 2" in finding.what
    assert "acceptdatabase" in finding.remedy


def test_a_server_that_hides_its_identity_is_said_to() -> None:
    (finding,) = checks.unreadable(replace(SERVER, system_identifier=None))
    assert (finding.severity, "does not show its system identifier:" in finding.what) == ("info", True)


@pytest.mark.parametrize(("seconds", "words"), [(7200, "forward by 2 h"), (-7200, "back by 2 h")])
def test_a_step_of_the_clock_is_a_finding_for_a_day(time: VirtualTime, seconds: float, words: str) -> None:
    write_step(Noticed(seconds, time.now, 2.0, "node-a"), load({}))
    (finding,) = clock_steps(time.now)
    assert (finding.severity, words in finding.what, "are held until" in finding.what) == ("warning", True, True)
    time.advance(3600)
    assert "are held" not in clock_steps(time.now)[0].what
    time.advance(86_400)
    assert clock_steps(time.now) == []


def test_a_clock_that_was_set_back_while_everything_was_down_is_an_error(time: VirtualTime) -> None:
    record("node stopped", "node-a", "", time.now)
    time.set(time.now - timedelta(hours=2))
    (finding,) = clock_steps(time.now)
    assert (finding.severity, "is 2 h behind an instant" in finding.what) == ("error", True)


@pytest.fixture
def time(db: None) -> VirtualTime:
    return VirtualTime()


def test_commits_that_wait_for_a_standby_are_an_error(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    assert database.waiting_commits(clock.now()) == []
    waits = [CommitWait(4711, "timers", 65.0), CommitWait(4712, "timers", 3.0)]
    monkeypatch.setattr(database, "commit_waits", lambda limit: waits[:limit])
    (finding,) = database.waiting_commits(clock.now())
    assert finding.severity == "error"
    assert finding.what.startswith("2 commits wait for a synchronous standby, the longest for 1 m 5 s:")
    assert "synchronous_standby_names" in finding.remedy
    assert finding.evidence[0] == {"session": 4711, "application": "timers", "seconds": 65.0}


@pytest.mark.parametrize(("own", "is_reported"), [("ISO, MDY", False), ("German, DMY", True)])
def test_what_a_pooler_gives_back_is_reported_only_where_it_does_not(
    role: Callable[[str, str], None], monkeypatch: pytest.MonkeyPatch, own: str, is_reported: bool
) -> None:
    role("DateStyle", "German, DMY")
    session = replace(session_of(connection), is_pooled=True)
    monkeypatch.setattr(checks, "session_of", lambda _: session)
    now = clock.now()
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('DateStyle', %s, false)", [own])
    said = [each.what for each in checks.pooled_sessions(now)]
    assert any(what.startswith("DateStyle is 'German, DMY'") for what in said) is is_reported


def test_a_snapshot_that_is_held_for_long_is_a_warning_that_names_its_session(
    transactional_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "OLD_AFTER", 0)
    other = connections["default"].copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
            cursor.execute("SELECT pg_backend_pid()")
            (pid,) = cursor.fetchone()
        (finding,) = database.old_transactions(clock.now())
    finally:
        other.close()
    assert finding.severity == "warning"
    assert "dead rows cannot be cleaned up meanwhile" in finding.what
    assert f"session {pid}" in str(finding)
