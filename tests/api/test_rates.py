"""Too many requests: who asks too often, or tries too many keys, is told when to go on, and nobody else is."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus

import pytest
from django.http import HttpResponse

from tests.api.asking import Asking, problem
from timers.security.api_keys.format import new_key

pytestmark = pytest.mark.django_db


def seconds_to_wait(response: HttpResponse) -> int:
    """What a refusal for too many requests says in Retry-After."""
    problem(response, 429, "rate_limited")
    return int(response.headers["Retry-After"])


def test_a_key_beyond_its_own_rate_is_told_when_to_go_on_and_another_is_answered(new_key: Callable[..., str]) -> None:
    greedy, other = Asking(new_key("read", rate=0.01)), Asking(new_key("read"))
    assert greedy("GET", "/groups").status_code == HTTPStatus.OK
    for path in ("/groups", "/me", "/groups/none"):
        assert 90 < seconds_to_wait(greedy("GET", path)) <= 100
        assert other("GET", path).status_code != HTTPStatus.TOO_MANY_REQUESTS


def test_what_a_key_may_not_do_counts_too(new_key: Callable[..., str]) -> None:
    greedy = Asking(new_key("read", rate=0.01))
    problem(greedy("POST", "/groups", {"name": "a"}), 403, "forbidden")
    seconds_to_wait(greedy("POST", "/groups", {"name": "a"}))


@pytest.mark.parametrize("bad", ["tk_x", new_key("0" * 12).reveal()], ids=["mistyped", "unknown"])
def test_an_address_that_tries_too_many_bad_keys_waits_and_another_does_not(bad: str) -> None:
    guessing = Asking(bad, address="192.0.2.7")
    answers = [guessing("GET", "/me") for _ in range(150)]
    refused = [answer for answer in answers if answer.status_code != HTTPStatus.UNAUTHORIZED]
    assert answers[0].status_code == HTTPStatus.UNAUTHORIZED
    assert refused
    assert all(seconds_to_wait(answer) == 1 for answer in refused)
    problem(Asking(bad, address="192.0.2.8")("GET", "/me"), 401, "unauthorized")
