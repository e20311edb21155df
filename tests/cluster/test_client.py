"""The Python client and a real web server that goes away under its consumers, and comes back."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

import pytest
from timers_client import Consumer, TimersClient

from tests.cluster.field import Field, eventually
from tests.cluster.web import serving

COUNT = 300


@contextmanager
def server_on(port: int, field: Field) -> Iterator[str]:
    """A web server on a port of its own choice and on this one; its key."""
    with serving(field, "--bind", f"127.0.0.1:{port}") as web:
        yield web.key


@pytest.mark.cluster
def test_consumers_outlive_the_web_server_and_each_message_is_committed_once(field: Field) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    done: list[str] = []
    consumers: list[Consumer] = []

    def consume(client: TimersClient) -> None:
        consumer = client.consume("orders", limit=10, wait=1)
        consumers.append(consumer)
        for message in consumer:
            with message:
                done.append(message.execution)

    with server_on(port, field) as key:
        client = TimersClient(f"http://127.0.0.1:{port}", key)
        client.ensure_group("orders", action={"kind": "pull"}, retry={"min_backoff": 0})
        requests = [{"kind": "once", "name": f"t{number}", "after": 0} for number in range(COUNT)]
        assert {each.result for each in client.schedule_many("orders", requests)} == {"created"}
        threads = [Thread(target=consume, args=[client], daemon=True) for _ in range(2)]
        for thread in threads:
            thread.start()
        eventually(lambda: len(done) > COUNT / 10)
    with server_on(port, field):
        field.wait_until_succeeded(COUNT)
        for consumer in consumers:
            consumer.stop()
        for thread in threads:
            thread.join(20)
            assert not thread.is_alive()
        client.close()
    assert sorted(done) == sorted(set(done)), "nothing was given out twice"
    query = "SELECT count(*), count(DISTINCT timer_id) FROM timers_attempt WHERE outcome = 'succeeded'"
    assert field.rows(query) == [(COUNT, COUNT)]
