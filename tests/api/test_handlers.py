"""Handlers called over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.api.asking import Asking, fields, problem
from tests.support.handlers import TemporaryHandlers
from timers.handlers import Discard, Fail, Retry, Snooze

pytestmark = pytest.mark.django_db


@pytest.fixture
def handlers() -> Iterator[TemporaryHandlers]:
    temporary = TemporaryHandlers()
    yield temporary
    temporary.forget()


@pytest.mark.parametrize("body", [{"vendor": 7}, [1, "ü"], "text", 12345678901234567890, None])
def test_a_handler_is_called_with_what_is_posted_and_its_result_comes_back(
    api: Asking, handlers: TemporaryHandlers, body: object
) -> None:
    handlers.add("vendors.process", lambda fire: {"got": fire.payload})
    raw = b"null" if body is None else body
    assert api.post("/handlers/vendors.process", raw) == {"result": {"got": body}}


@pytest.mark.parametrize(
    ("raises", "status", "code", "outcome", "wait"),
    [
        (Discard("not yet"), 503, "unavailable", "discard", None),
        (Retry("locked", after=7), 503, "unavailable", None, "7"),
        (Snooze(7200, "night"), 503, "unavailable", "snooze", "7200"),
        (Fail("no such vendor"), 422, "invalid", "fail", None),
        (ValueError("bad"), 500, "failed", None, None),
    ],
)
def test_what_it_raises_is_a_problem_that_says_what_follows(
    api: Asking, handlers: TemporaryHandlers, raises: Exception, status: int, code: str, outcome: str, wait: str
) -> None:
    handlers.script("h", raises)
    response = api("POST", "/handlers/h", {})
    assert str(raises) in problem(response, status, code)["detail"]
    assert (response.headers.get("timer-outcome"), response.headers.get("Retry-After")) == (outcome, wait)


def test_an_envelope_that_cannot_be_read_is_refused(api: Asking, handlers: TemporaryHandlers) -> None:
    handlers.add("h")
    envelope = {"Group": "g", "Name": "n", "ExecutionId": "x", "Payload": 1, "NumberOfTry": "three"}
    assert fields(problem(api("POST", "/handlers/h", envelope), 422, "invalid")) == ["NumberOfTry"]


@pytest.mark.parametrize("name", ["nobody.knows", "os.system", "builtins.eval", "..%2Fh"])
def test_what_is_not_registered_is_not_there(api: Asking, name: str) -> None:
    problem(api("POST", f"/handlers/{name}", {}), 404, "not_found")


def test_a_key_that_is_limited_to_groups_calls_none(
    new_key: Callable[..., str], billing: object, handlers: TemporaryHandlers
) -> None:
    handlers.add("h")
    problem(Asking(new_key("schedule", groups=["billing"]))("POST", "/handlers/h", {}), 403, "forbidden")
    assert handlers.calls == []
