from __future__ import annotations

import asyncio
import time
from collections.abc import Collection
from types import SimpleNamespace

import pytest

from timers.engine.secret_values import SecretValue
from timers.worker import secret_cache
from timers.worker.secret_cache import FRESH_SECONDS, Found, SecretCache


class Store:
    """What secrets are read from; it may be away."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.reads = 0
        self.away = False

    def __call__(self, names: Collection[str]) -> Found:
        self.reads += 1
        if self.away:
            raise ConnectionError("the database is unavailable")
        return {name: SecretValue(name, "text", (), (), self.values[name]) for name in names if name in self.values}


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds by which the cache's clock is ahead."""
    ahead = [0.0]
    monkeypatch.setattr(secret_cache, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + ahead[0]))
    return ahead


def value(found: SecretValue | str | None) -> str | None:
    return found.value if isinstance(found, SecretValue) else found


def test_many_that_ask_at_once_read_once(store: Store) -> None:
    store.values["a"] = "1"

    async def ask() -> None:
        cache = SecretCache(store)
        found = await asyncio.gather(*(cache.get(["a", "b"]) for _ in range(50)))
        assert {value(each["a"]) for each in found} == {"1"}
        assert {each["b"] for each in found} == {None}
        cache.close()

    asyncio.run(ask())
    assert store.reads == 1


def test_another_value_is_seen_after_a_few_seconds(store: Store, later: list[float]) -> None:
    async def ask() -> None:
        cache = SecretCache(store)
        seen = []
        for text, ahead in (("1", 0.0), ("2", FRESH_SECONDS - 0.5), ("2", FRESH_SECONDS + 0.5)):
            store.values["a"], later[0] = text, ahead
            seen.append(value((await cache.get(["a"]))["a"]))
        assert seen == ["1", "1", "2"]
        cache.close()

    asyncio.run(ask())


def test_what_is_known_is_used_while_the_database_is_away(store: Store, later: list[float]) -> None:
    async def ask() -> None:
        cache = SecretCache(store)
        store.values["a"] = "1"
        await cache.get(["a"])
        store.away, later[0] = True, FRESH_SECONDS + 1
        assert value((await cache.get(["a"]))["a"]) == "1"
        with pytest.raises(ConnectionError):
            await cache.get(["a", "new"])
        store.away = False
        later[0] += FRESH_SECONDS + 1
        assert (await cache.get(["new"])) == {"new": None}
        cache.close()

    asyncio.run(ask())


def test_a_call_that_is_cut_off_does_not_take_the_reading_from_others(store: Store) -> None:
    store.values["a"] = "1"

    async def ask() -> None:
        cache = SecretCache(store)
        first = asyncio.create_task(cache.get(["a"]))
        second = asyncio.create_task(cache.get(["a"]))
        await asyncio.sleep(0)
        first.cancel()
        assert value((await second)["a"]) == "1"
        cache.close()

    asyncio.run(ask())
