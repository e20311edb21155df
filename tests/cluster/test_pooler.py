"""A node and a web server behind a pooler in transaction mode: nothing fails, and nothing reaches other clients."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

import psycopg
import pytest

from tests.cluster.field import Field, eventually
from tests.cluster.web import Web, serving
from tests.support.transaction_pooler import TransactionPooler
from timers.server.settings import TRACKED
from timers.worker.session import GUARDS

pytestmark = [pytest.mark.cluster, pytest.mark.django_db(transaction=True)]

SESSIONS = 12
FAR = 86_400
_TIMERS = """
from timers.scheduling import ensure_group, schedule_fixed_rate, schedule_once
ensure_group("work")
schedule_fixed_rate("work", "rate", period=1, handler="cluster.count")
for number in range(20):
    schedule_once("work", f"once-{number}", after=number * 0.2, handler="cluster.count")
"""
_LEFT = """
SELECT (SELECT count(*) FROM pg_listening_channels()), (SELECT count(*) FROM pg_cursors WHERE is_holdable),
       (SELECT count(*) FROM pg_prepared_statements),
       (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid())
"""


@pytest.fixture
def pooled(field: Field) -> Iterator[TransactionPooler]:
    """The field's processes connect through the pooler; the test itself connects to the server."""
    parts = urlsplit(field.address)
    server = Path(unquote(parts.hostname or "")) / f".s.PGSQL.{parts.port or 5432}"
    with TransactionPooler(str(server), SESSIONS) as pooler:
        field.settings["DATABASE_URL"] = f"postgresql://{parts.username}@127.0.0.1:{pooler.port}{parts.path}"
        yield pooler


def test_node_behind_a_pooler_fires_and_obeys_late_changes(field: Field, pooled: TransactionPooler) -> None:
    field.start("a", "--workers", "1")
    field.run(_TIMERS)
    with serving(field) as web:
        eventually(lambda: len(field.calls()) >= 25)
        changed = {name: _change_when_claimed(field, web, name) for name in map(str, range(10))}
    assert field.manage("check", "--database", "default")
    assert "replaced" not in field.log("a") and "ended" not in field.log("a"), field.log("a")
    assert field.value("SELECT bool_or(listens OR crash_lock) FROM timers_node") is False
    assert field.stop("a") == 0
    ran = dict(field.rows("SELECT name, max(started_at) FROM timers_attempt WHERE outcome = 'succeeded' GROUP BY name"))
    late = {name for name, at in changed.items() if at is not None and name in ran and ran[name] > at}
    assert not late, "nothing begins after an answer without in_flight"
    # On a busy machine some changes come after the begin; without answers of the worker all of them would.
    assert changed.keys() - ran.keys()


def _change_when_claimed(field: Field, web: Web, name: str) -> datetime | None:
    """Move a timer that a worker has claimed to a far instant; returns when, or None where it has begun."""
    timer = {"name": name, "kind": "once", "handler": "cluster.count", "after": 1.4}
    for _ in range(2):
        status, _, body = web.ask("POST", "/groups/work/timers", timer, Idempotency_Key=f"create-{name}")
        assert (status, body["fire_count"]) == (201, 0)
    eventually(lambda: field.value("SELECT fire_count FROM timers_timer WHERE name = %s", name))
    status, _, body = web.ask("PATCH", f"/groups/work/timers/{name}", {"after": FAR})
    assert status in (200, 409), body
    at: datetime = field.value("SELECT clock_timestamp()")
    return at if status == 200 and not body["in_flight"] else None


def test_node_behind_a_pooler_leaves_nothing_in_sessions_of_others(field: Field, pooled: TransactionPooler) -> None:
    field.start("a", "--workers", "1")
    field.run(_TIMERS)
    eventually(lambda: len(field.calls()) >= 25)
    address = field.settings["DATABASE_URL"]
    reset = "SELECT name FROM pg_settings WHERE name = ANY(%s) AND setting <> reset_val"
    for _ in range(SESSIONS):
        with psycopg.connect(address, prepare_threshold=None, autocommit=True) as stranger:
            assert stranger.execute(_LEFT).fetchone() == (0, 0, 0, 0)
            assert stranger.execute(reset, [[*GUARDS, *TRACKED, "default_transaction_isolation"]]).fetchall() == []
    assert field.value("SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid)"
                       " WHERE locktype = 'advisory' AND datname = current_database()") == 0  # fmt: skip
