"""The way to the database is slow, or loses the answer to a commit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.cluster.field import Field, eventually
from tests.cluster.web import serving
from tests.torture.live.proxy import Proxy

pytestmark = [pytest.mark.cluster, pytest.mark.django_db(transaction=True)]

REPLIES = 10


@contextmanager
def proxied(field: Field) -> Iterator[Proxy]:
    """The field's processes reach the database by the proxy; the test itself does not."""
    parts = urlsplit(field.address)
    folder, port = unquote(parts.netloc.rpartition("@")[2].rpartition(":")[0]), parts.port
    proxy = Proxy(field.folder / "proxy", Path(folder) / f".s.PGSQL.{port}")
    host = str(proxy.folder).replace("/", "%2F")
    field.settings["DATABASE_URL"] = f"postgresql://{parts.username}@{host}:{port}{parts.path}"
    try:
        yield proxy
    finally:
        field.end()
        proxy.close()


def test_creates_whose_commit_was_not_heard_of_are_made_once_by_a_repeat(field: Field) -> None:
    field.run("from timers.scheduling import ensure_group; ensure_group('work')")
    body = {"kind": "once", "handler": "cluster.count", "after": 3600}
    with proxied(field) as proxy, serving(field) as web:
        proxy.lose_replies(REPLIES)
        unknown = []
        for number in range(3 * REPLIES):
            name = f"t-{number}"
            status, _, _ = web.ask("POST", "/groups/work/timers", body | {"name": name}, Idempotency_Key=name)
            assert status in (201, 503)
            if status == 503:
                unknown.append(name)
        assert proxy.replies_lost == REPLIES
        assert unknown
        for name in unknown:
            status, _, _ = web.ask("POST", "/groups/work/timers", body | {"name": name}, Idempotency_Key=name)
            assert status == 201
    assert field.value("SELECT count(*) FROM timers_timer") == 3 * REPLIES


def test_claims_and_finishes_whose_commit_was_not_heard_of_lose_and_double_nothing(field: Field) -> None:
    with proxied(field) as proxy:
        node = field.start("a", "--workers", "1")
        field.schedule("cluster.work", 300)
        eventually(lambda: field.succeeded() > 20)
        proxy.lose_replies(REPLIES)
        eventually(lambda: proxy.replies_lost == REPLIES, within=30)
        field.wait_until_succeeded(300)
        assert node.poll() is None
        field.check_ledger(300)


def test_a_slow_way_to_the_database_costs_no_lease_and_little_lateness(field: Field) -> None:
    with proxied(field) as proxy:
        field.start("a", "--workers", "1")
        field.start("b", "--workers", "1")
        field.run(_SPREAD)
        proxy.slow(0.1)
        field.wait_until_succeeded(300, within=60)
        proxy.mend()
        late = field.rows(
            "SELECT extract(epoch FROM started_at - scheduled_for)::float8 FROM timers_attempt ORDER BY 1"
        )
        assert late[int(len(late) * 0.99)][0] <= 5
        assert field.value("SELECT count(*) FROM timers_cluster_event WHERE kind = 'node died'") == 0
        field.check_ledger(300)


_SPREAD = """
from timers.scheduling import ensure_group, schedule_many
ensure_group("work")
schedule_many([dict(kind="once", group="work", name=f"n-{n}", after=3 + n * 0.04, handler="cluster.count")
               for n in range(300)])
"""
