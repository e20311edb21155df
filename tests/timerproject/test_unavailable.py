"""Without the database everybody is told to come back: programs, people who have signed in, and those who want to."""

from __future__ import annotations

import json

import pytest
from django.conf import settings
from django.db import OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test import Client


@pytest.fixture
def away(monkeypatch: pytest.MonkeyPatch) -> None:
    """No connection can be made; what looks for one all the same fails as it does then."""

    def refuse(self: BaseDatabaseWrapper) -> None:
        raise OperationalError("connection failed: Connection refused\n\tIs the server running?")

    monkeypatch.setattr(BaseDatabaseWrapper, "ensure_connection", refuse)


@pytest.fixture
def person(away: None) -> Client:
    """Somebody who has signed in, as far as the cookie tells."""
    client = Client(raise_request_exception=False)
    client.cookies[settings.SESSION_COOKIE_NAME] = "k" * 32
    return client


def lines(caplog: pytest.LogCaptureFixture) -> list[tuple[str, bool]]:
    """What was logged, and whether with a traceback."""
    return [(record.getMessage(), record.exc_info is not None) for record in caplog.records]


@pytest.mark.parametrize("path", ["/", "/login/", "/admin/", "/admin/timers/timer/"])
def test_a_page_says_so_and_asks_for_itself_again(person: Client, path: str, caplog: pytest.LogCaptureFixture) -> None:
    page = person.get(path)
    assert (page.status_code, page.headers["Retry-After"]) == (503, "5")
    assert "The database cannot be reached" in page.text
    assert '<meta http-equiv="refresh" content="5">' in page.text
    assert "Is the server running" not in page.text
    assert lines(caplog) == [
        ("the database is unavailable: connection failed: Connection refused Is the server running?", False)
    ]


def test_what_was_sent_is_not_sent_again_by_itself(person: Client) -> None:
    page = person.post("/login/", {"username": "a", "password": "b"})
    assert page.status_code == 503
    assert "refresh" not in page.text
    assert "Whether what you sent was done is unknown" in page.text


def test_a_fragment_is_answered_in_words_and_not_by_a_page(person: Client) -> None:
    answer = person.get("/", headers={"HX-Request": "true"})
    assert (answer.status_code, answer.headers["Content-Type"]) == (503, "text/plain; charset=utf-8")
    assert answer.text == "The database cannot be reached, or did not answer in time."


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/api/v1/groups"), ("POST", "/api/v1/groups"), ("GET", "/api/v1/docs")]
)
def test_a_session_is_told_by_the_api_what_a_key_is_told(
    person: Client, method: str, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    answer = person.generic(method, path, "{}", "application/json")
    said = json.loads(answer.content)
    assert (answer.status_code, said["status"], said["code"]) == (503, 503, "unavailable")
    assert said["request_id"] == answer.headers["X-Request-Id"]
    assert answer.headers["Retry-After"] == "2"
    assert ("Idempotency-Key" in said["detail"]) == (method == "POST")
    assert len(lines(caplog)) == 1
    assert not lines(caplog)[0][1]


def test_any_other_fault_is_one_still(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def broken(*args: object, **kwargs: object) -> None:
        raise KeyError("no database in this")

    monkeypatch.setattr("timers.console.overview.redirect_to_login", broken)
    assert Client(raise_request_exception=False).get("/").status_code == 500
    assert [traced for _, traced in lines(caplog)] == [True]
