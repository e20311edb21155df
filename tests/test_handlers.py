from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from timers import handlers
from timers.exceptions import InvalidRequest
from timers.handlers import Discard, Fail, Fire, Retry, Snooze, handler
from timers.schedules.instant import to_microseconds


@pytest.fixture(autouse=True)
def _() -> Iterator[None]:
    """Names that begin with tests. are forgotten."""
    yield
    for name in handlers.names():
        if name.startswith("tests."):
            handlers.unregister(name)


def fire(**fields: Any) -> Fire:
    moment = to_microseconds(datetime.fromisoformat("2025-02-26T14:00:27.006+00:00"))
    defaults: dict[str, Any] = {
        "group": "TimerGroup", "name": "TEST-05", "number_of_try": 1, "payload": "MyPayload", "execution_id": "id",
        "fence": 1, "missed_count": 0, "origin": "schedule", "node": "node-a", "fire_time_us": moment,
        "scheduled_fire_time_us": moment - 6000, "time_zone": "Europe/Berlin",
    }  # fmt: skip
    return Fire(**(defaults | fields))


def test_a_handler_is_found_by_its_name_with_its_limit_and_kind() -> None:
    @handler("tests.plain", timeout=30)
    def plain(fire: Fire) -> None: ...

    @handler("tests.awaited")
    async def awaited(fire: Fire) -> None: ...

    found = handlers.find("tests.plain")
    assert found is not None
    assert (found.function, found.timeout, found.is_async) == (plain, 30, False)
    found = handlers.find("tests.awaited")
    assert found is not None
    assert (found.timeout, found.is_async) == (None, True)
    assert handlers.find("tests.nobody") is None
    assert {"tests.plain", "tests.awaited"} <= set(handlers.names())
    assert handlers.names() == sorted(handlers.names())


def test_a_name_that_another_function_has_is_refused() -> None:
    @handler("tests.taken")
    def first(fire: Fire) -> None: ...

    with pytest.raises(InvalidRequest, match=r"tests\.taken is registered already, by tests\.test_handlers"):

        @handler("tests.taken")
        def second(fire: Fire) -> None: ...

    found = handlers.find("tests.taken")
    assert found is not None
    assert found.function is first


def test_a_module_that_is_read_again_may_register_its_handlers_again() -> None:
    def module() -> None:
        @handler("tests.again")
        def again(fire: Fire) -> None: ...

    module()
    module()
    assert handlers.find("tests.again") is not None


@pytest.mark.parametrize("name", ["", " ", "a b", "-a", "ä", "x" * 201, None, 5, "a\n"])
def test_a_name_that_is_none_is_refused(name: Any) -> None:
    with pytest.raises(InvalidRequest, match="handler: names are letters, digits"):
        handler(name)


@pytest.mark.parametrize("timeout", [0, -1, float("nan")])
def test_a_limit_that_is_none_is_refused(timeout: float) -> None:
    with pytest.raises(InvalidRequest, match="timeout: must be more than 0 seconds"):
        handler("tests.slow", timeout=timeout)


def test_the_service_finds_the_handlers_of_installed_apps() -> None:
    assert "timerbench.noop" in handlers.names()


def test_the_nearest_name_is_offered() -> None:
    assert handlers.nearest("vendors.proces", ["vendors.process", "x"]) == "did you mean vendors.process?"
    assert handlers.nearest("zzz", ["b", "a"]) == "known are b, a"
    assert handlers.nearest("zzz", []) == "no handler is registered"


def test_the_envelope_has_laylines_exact_keys_and_times_in_the_timers_zone() -> None:
    assert fire().envelope() == {
        "Group": "TimerGroup",
        "Name": "TEST-05",
        "NumberOfTry": 1,
        "FireTime": "2025-02-26T15:00:27.006+01:00",
        "ScheduledFireTime": "2025-02-26T15:00:27+01:00",
        "Payload": "MyPayload",
        "ExecutionId": "id",
        "Fence": 1,
        "MissedCount": 0,
        "Origin": "schedule",
        "Node": "node-a",
    }


def test_the_envelope_tells_microseconds_where_there_are_any() -> None:
    assert fire(fire_time_us=1_000_001).envelope()["FireTime"] == "1970-01-01T01:00:01.000001+01:00"


@pytest.mark.parametrize("wait", [-1, float("nan"), float("inf"), "5", True, 367 * 86_400])
def test_a_wait_that_makes_no_sense_is_refused_where_it_is_said(wait: Any) -> None:
    with pytest.raises(InvalidRequest, match=r"(after|seconds): must be "):
        Retry(after=wait)
    with pytest.raises(InvalidRequest, match="seconds"):
        Snooze(wait)


def test_directives_carry_their_reason() -> None:
    assert (str(Retry("busy", after=5)), Retry("busy", after=5).after, Retry().after) == ("busy", 5.0, None)
    assert (str(Snooze(60, "later")), Snooze(60).seconds) == ("later", 60.0)
    assert (str(Discard("not yet")), str(Fail("never"))) == ("not yet", "never")
