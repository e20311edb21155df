"""A new connection has the session settings that the code relies on, whatever the role, and knows its server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from django.db import OperationalError, connection, connections
from psycopg.pq import TransactionStatus

from timers import conf
from timers.engine.remember_server import remember_server
from timers.models import DatabaseServer
from timers.server import memory
from timers.server import prepare as prepare_module
from timers.server.identity import Remembered, ServerRefused
from timers.server.prepare import any_server, is_pooled, prepare, session_of
from timers.server.settings import guard_sessions

Connected = Callable[..., Any]

FOREIGN = {
    "DateStyle": "German, DMY",
    "IntervalStyle": "iso_8601",
    "extra_float_digits": "-15",
    "array_nulls": "off",
    "standard_conforming_strings": "off",
    "default_transaction_isolation": "serializable",
    "client_min_messages": "error",
    "TimeZone": "Asia/Kathmandu",
}
LEFT_ALONE = {"default_transaction_deferrable": "on", "enable_hashjoin": "off", "bytea_output": "escape"}


@pytest.fixture
def foreign(transactional_db: None) -> Iterator[None]:
    """New sessions begin with other settings, as ALTER ROLE or ALTER DATABASE would have it."""
    options = connections["default"].settings_dict["OPTIONS"]
    given = " ".join(f"-c {name}={value}" for name, value in {**FOREIGN, **LEFT_ALONE}.items())
    options["options"] = given.replace(", ", ",\\ ").replace("=read c", "=read\\ c")
    yield
    del options["options"]


def shown(own: Any, name: str) -> Any:
    return own.connection.execute("SELECT current_setting(%s)", [name]).fetchone()[0]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DateStyle", "ISO, MDY"),
        ("IntervalStyle", "postgres"),
        ("extra_float_digits", "1"),
        ("array_nulls", "on"),
        ("standard_conforming_strings", "on"),
        ("default_transaction_isolation", "read committed"),
        ("transaction_isolation", "read committed"),
        ("client_min_messages", "notice"),
        ("TimeZone", "UTC"),
        ("client_encoding", "UTF8"),
    ],
)
def test_what_the_code_relies_on_is_pinned(foreign: None, connected: Connected, name: str, value: str) -> None:
    assert shown(connected(), name) == value


@pytest.mark.parametrize("name", LEFT_ALONE)
def test_the_rest_is_left_as_the_role_has_it(foreign: None, connected: Connected, name: str) -> None:
    assert shown(connected(), name) == LEFT_ALONE[name]


def test_instants_spans_and_fractions_are_read_as_they_are(foreign: None, connected: Connected) -> None:
    row = connected().connection.execute(
        "SELECT '2027-03-01 12:00:00.123456+00'::timestamptz, interval '1 day 02:03:04.5', 0.1::float8 + 0.2::float8"
    )
    assert row.fetchone() == (
        datetime(2027, 3, 1, 12, 0, 0, 123456, tzinfo=UTC),
        timedelta(days=1, hours=2, minutes=3, seconds=4.5),
        0.1 + 0.2,
    )


def test_a_project_that_sets_an_isolation_level_itself_keeps_it(connected: Connected) -> None:
    own = connected(isolation_level=psycopg.IsolationLevel.SERIALIZABLE)
    own.set_autocommit(False)
    assert shown(own, "transaction_isolation") == "serializable"


def test_it_costs_one_round_trip(connected: Connected, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []
    plain = psycopg.Connection.execute

    def counted(self: Any, query: Any, *args: Any, **options: Any) -> Any:
        sent.append(str(query))
        return plain(self, query, *args, **options)

    monkeypatch.setattr(psycopg.Connection, "execute", counted)
    connected()
    assert len(sent) == 1


def test_a_connection_that_a_pool_hands_out_again_is_prepared_once(connected: Connected) -> None:
    own = connected()
    commit = own.connection.commit
    prepare(own)
    assert own.connection.commit is commit


def test_a_new_connection_is_idle_and_knows_its_server(connected: Connected) -> None:
    own = connected()
    assert own.connection.info.transaction_status == TransactionStatus.IDLE
    server = session_of(own).server
    assert server is not None
    assert server.system_identifier == str(
        own.connection.execute("SELECT system_identifier FROM pg_control_system()").fetchone()[0]
    )
    assert (server.timeline, server.in_recovery, is_pooled(own)) == (1, False, False)


def test_before_the_tables_are_migrated_settings_are_pinned_all_the_same(connected: Connected) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER FUNCTION timers_server() RENAME TO timers_server_put_aside")
    try:
        own = connected()
        assert session_of(own).server is None
        assert shown(own, "client_min_messages") == "notice"
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER FUNCTION timers_server_put_aside() RENAME TO timers_server")


def test_a_role_that_may_not_read_the_identity_is_served_without(connected: Connected) -> None:
    with connection.cursor() as cursor:
        cursor.execute("REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC")
        cursor.execute("REVOKE EXECUTE ON FUNCTION pg_walfile_name(pg_lsn) FROM PUBLIC")
        cursor.execute("CREATE ROLE timers_restricted LOGIN")
        cursor.execute("GRANT SELECT ON timers_database_server TO timers_restricted")
    try:
        server = session_of(connected(user="timers_restricted")).server
        assert server is not None
        assert (server.system_identifier, server.timeline) == (None, None)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("GRANT EXECUTE ON FUNCTION pg_control_system() TO PUBLIC")
            cursor.execute("GRANT EXECUTE ON FUNCTION pg_walfile_name(pg_lsn) TO PUBLIC")
            cursor.execute("DROP OWNED BY timers_restricted")
            cursor.execute("DROP ROLE timers_restricted")


@pytest.fixture
def remembering(transactional_db: None) -> Iterator[Callable[[Remembered], None]]:
    address = memory.address_of(connections["default"].settings_dict)
    yield lambda server: memory.remember(address, server)
    memory.forget()


def test_a_server_that_is_not_the_one_remembered_is_refused_and_not_used(
    connected: Connected, remembering: Callable[[Remembered], None]
) -> None:
    remembering(Remembered(None, 7))
    with pytest.raises(
        OperationalError, match=r"is refused: it is on timeline 1, .* timeline 7.*acceptdatabase"
    ) as error:
        connected()
    assert isinstance(error.value.__cause__, ServerRefused)
    with any_server():
        assert connected().connection is not None


def test_what_the_tables_remember_is_enough_to_refuse_a_copy(connected: Connected) -> None:
    DatabaseServer.objects.create(system_identifier="42", timeline=1)
    try:
        with pytest.raises(OperationalError, match="the service has worked on 42"):
            connected()
    finally:
        DatabaseServer.objects.all().delete()
        memory.forget()


def test_a_node_writes_its_server_down_once_and_a_promotion_after_it(
    connected: Connected, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection.ensure_connection()
    remember_server()
    row = DatabaseServer.objects.get()
    assert (row.timeline, row.acceptance) == (1, 0)
    session = session_of(connection)
    from dataclasses import replace

    assert session.server is not None
    for timeline, known in ((3, 3), (2, 3)):
        promoted = replace(session, server=replace(session.server, timeline=timeline))
        monkeypatch.setattr("timers.engine.remember_server.session_of", lambda _, promoted=promoted: promoted)
        remember_server()
        assert DatabaseServer.objects.get().timeline == known
    DatabaseServer.objects.all().delete()


def test_guards_of_a_thread_come_with_its_connections(connected: Connected) -> None:
    guard_sessions({"lock_timeout": "3s"})
    try:
        assert shown(connected(), "lock_timeout") == "3s"
    finally:
        guard_sessions({})
    assert shown(connected(), "lock_timeout") == "0"


@pytest.mark.parametrize(
    ("mode", "pooled", "isolation"), [("transaction", True, "serializable"), ("session", False, "read committed")]
)
def test_the_mode_of_a_pooler_can_be_said(
    foreign: None, connected: Connected, monkeypatch: pytest.MonkeyPatch, mode: str, pooled: bool, isolation: str
) -> None:
    monkeypatch.setattr(prepare_module.conf, "current", lambda: conf.load({"TIMERS_POOL_MODE": mode}))
    own = connected()
    assert is_pooled(own) is pooled
    assert shown(own, "default_transaction_isolation") == isolation
    # What a pooler gives each client back is set in any case, and transactions say their level themselves.
    assert shown(own, "DateStyle") == "ISO, MDY"
    own.set_autocommit(False)
    assert shown(own, "transaction_isolation") == "read committed"
