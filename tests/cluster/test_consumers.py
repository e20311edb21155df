"""Consumers over a real web server: competing for one group, and dying with what they took."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.cluster.field import Field, eventually
from tests.cluster.web import Web, serving

CLAIMS = "/groups/orders/claims"
LEASE = 3.0


@pytest.fixture
def web(field: Field) -> Iterator[Web]:
    with serving(field) as web:
        web.ask("POST", "/groups", {"name": "orders", "action": {"kind": "pull"}, "retry": {"min_backoff": 0}})
        yield web


def schedule(web: Web, count: int) -> None:
    for first in range(0, count, 5000):
        timers = [{"kind": "once", "name": f"t{n}", "after": 0} for n in range(first, min(first + 5000, count))]
        assert web.ask("POST", "/groups/orders/timers/bulk", timers)[2]["created"] == len(timers)


def claim(web: Web, consumer: str, limit: int, lease: float = 30, wait: float = 0) -> list[dict[str, Any]]:
    body = {"consumer": consumer, "limit": limit, "lease": lease, "wait": wait}
    messages: list[dict[str, Any]] = web.ask("POST", CLAIMS, body)[2]["messages"]
    return messages


@pytest.mark.cluster
def test_what_a_dead_consumer_took_is_shown_to_others_when_its_lease_is_over(web: Web, field: Field) -> None:
    """No node is needed for that: whoever claims looks for leases that have ended."""
    schedule(web, 100)
    taken = claim(web, "dead", 100, LEASE)
    assert len(taken) == 100
    began = time.monotonic()
    assert claim(web, "other", 100) == []
    shown: list[dict[str, Any]] = []

    def all_shown() -> bool:
        shown.extend(claim(web, "other", 100))
        return len(shown) >= 100

    eventually(all_shown, within=LEASE + 2)
    assert time.monotonic() - began >= LEASE - 0.5
    assert sorted(each["execution"] for each in shown) == sorted(each["execution"] for each in taken)
    assert {each["envelope"]["NumberOfTry"] for each in shown} == {2}
    for word in ("commit", "discard", "extend"):
        status, _, said = web.ask("POST", f"/executions/{taken[0]['execution']}/{word}", {"token": taken[0]["token"]})
        assert (status, said["code"]) == (409, "stale_token")
    status, _, said = web.ask("POST", "/claims/commit", {"items": [_item(each) for each in shown]})
    assert Counter(each["outcome"] for each in said["results"]) == {"succeeded": 100}
    field.wait_until_succeeded(100)


@pytest.mark.parametrize(
    "count", [pytest.param(1000, marks=pytest.mark.cluster), pytest.param(10_000, marks=pytest.mark.torture)]
)
def test_consumers_of_one_group_share_its_messages_and_each_is_committed_once(
    web: Web, field: Field, count: int
) -> None:
    schedule(web, count)
    committed: Counter[str] = Counter()
    by_consumer: Counter[str] = Counter()

    def consume(name: str) -> None:
        while messages := claim(web, name, 50, wait=1):
            _, _, said = web.ask("POST", "/claims/commit", {"items": [_item(each) for each in messages]})
            assert all(each["outcome"] == "succeeded" for each in said["results"])
            committed.update(each["execution"] for each in said["results"])
            by_consumer[name] += len(messages)

    with ThreadPoolExecutor(8) as consumers:
        list(consumers.map(consume, [f"c{number}" for number in range(8)]))
    assert len(committed) == count
    assert set(committed.values()) == {1}
    assert len(by_consumer) == 8
    final = field.rows("SELECT outcome, count(*), count(DISTINCT timer_id) FROM timers_attempt GROUP BY 1")
    assert final == [("succeeded", count, count)]


def _item(message: dict[str, Any]) -> dict[str, str]:
    return {"execution": message["execution"], "token": message["token"]}
