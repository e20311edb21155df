"""What the caller is told of whatever is raised: a status and a code for each, and nothing of what is inside."""

from __future__ import annotations

import json
import logging
from typing import Final

import pytest
from django.core.exceptions import DisallowedHost, RequestDataTooBig, SuspiciousOperation
from django.db import (
    DatabaseError,
    DataError,
    IntegrityError,
    InterfaceError,
    InternalError,
    OperationalError,
    ProgrammingError,
)
from django.http import Http404
from ninja.errors import AuthenticationError, AuthorizationError, HttpError

from tests.api.asking import Asking, problem
from timers.api.strict_json import MalformedJson
from timers.exceptions import (
    InvalidRequest,
    NotAllowedNow,
    QuotaExceeded,
    StaleToken,
    StaleVersion,
    TimerExists,
    TimerNotFound,
    TimersError,
)
from timers.security.authentication import forget_known_keys
from timers.security.rate_limits import TooManyRequests
from timers.server.commits import CommitOutcomeUnknown
from timers.server.identity import ServerRefused

pytestmark = pytest.mark.django_db

INSIDE: Final = 'relation "timers_timer": SELECT digest FROM timers_application_key WHERE id = 4711'
"""What a database may say of itself."""


def told(api: Asking, monkeypatch: pytest.MonkeyPatch, error: BaseException, status: int, code: str) -> str:
    """The words of the problem that a view's error becomes."""

    def broken(*args: object, **kwargs: object) -> None:
        raise error

    monkeypatch.setattr("timers.api.groups.create_group", broken)
    response = api("POST", "/groups", {"name": "a"})
    words = json.dumps(problem(response, status, code))
    assert "Traceback" not in words and 'File \\"' not in words
    assert response.headers.get("Retry-After") == {429: "7", 503: "2"}.get(status)
    return words


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (DataError(INSIDE), 400, "malformed"),
        (IntegrityError(INSIDE), 409, "not_allowed_now"),
        (OperationalError(INSIDE), 503, "unavailable"),
        (InterfaceError(INSIDE), 503, "unavailable"),
        (InternalError(INSIDE), 503, "unavailable"),
        (ProgrammingError(INSIDE), 500, "failed"),
        (DatabaseError(INSIDE), 500, "failed"),
        (KeyError(INSIDE), 500, "failed"),
        (SuspiciousOperation(INSIDE), 400, "malformed"),
        (DisallowedHost(INSIDE), 400, "malformed"),
        (RequestDataTooBig(INSIDE), 413, "too_large"),
        (Http404(INSIDE), 404, "not_found"),
        (AuthenticationError(), 401, "unauthorized"),
        (AuthorizationError(), 403, "forbidden"),
        (HttpError(403, INSIDE), 403, "forbidden"),
    ],
    ids=lambda value: f"{type(value).__name__}" if isinstance(value, Exception) else None,
)
def test_what_the_inside_says_of_itself_is_for_the_log_alone(
    error: Exception, status: int, code: str, api: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = told(api, monkeypatch, error, status, code)
    for inside in ("SELECT", "timers_", "digest", "4711", type(error).__name__):
        assert inside not in words


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (InvalidRequest("period", "must be longer"), 422, "invalid"),
        (QuotaExceeded("period", "must be longer"), 422, "quota"),
        (TimerExists("period", "must be longer"), 409, "name_taken"),
        (TimerNotFound("must be longer"), 404, "not_found"),
        (StaleVersion("must be longer"), 409, "stale_version"),
        (StaleToken("must be longer"), 409, "stale_token"),
        (NotAllowedNow("must be longer"), 409, "not_allowed_now"),
        (TimersError("must be longer"), 409, "not_allowed_now"),
        (TooManyRequests("must be longer", 6.1), 429, "rate_limited"),
        (MalformedJson("must be longer"), 400, "malformed"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_what_the_service_has_to_say_is_said(
    error: Exception, status: int, code: str, api: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "must be longer" in told(api, monkeypatch, error, status, code)


def test_an_error_that_wraps_another_is_told_as_that_one(api: Asking, monkeypatch: pytest.MonkeyPatch) -> None:
    wrapping = HttpError(400, "Cannot parse")
    wrapping.__cause__ = InvalidRequest("period", "must be longer")
    assert "must be longer" in told(api, monkeypatch, wrapping, 422, "invalid")


def test_the_log_tells_what_the_caller_is_not_told(
    api: Asking, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    told(api, monkeypatch, OperationalError("terminating\n connection"), 503, "unavailable")
    told(api, monkeypatch, DataError(INSIDE), 400, "malformed")
    mine = [record for record in caplog.records if record.name == "timers.api.refusals"]
    assert [(record.levelno, record.getMessage(), record.exc_info is None) for record in mine] == [
        (logging.WARNING, "the database is unavailable: terminating connection", True),
        (logging.WARNING, "the database refused a value", False),
    ]


def test_who_only_reads_is_told_nothing_of_changes(api: Asking, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*args: object, **kwargs: object) -> None:
        raise OperationalError(INSIDE)

    monkeypatch.setattr("timers.api.groups.create_group", away)
    changes = json.dumps(problem(api("POST", "/groups", {"name": "a"}), 503, "unavailable"))
    assert "Whether a change was made is unknown" in changes
    monkeypatch.setattr("timers.security.authentication.read_application_key", away)
    forget_known_keys()
    assert problem(api("GET", "/groups"), 503, "unavailable")["detail"] == (
        "The database cannot be reached, or did not answer in time."
    )


@pytest.mark.parametrize(
    ("cause", "words"),
    [
        (
            CommitOutcomeUnknown("perhaps on no standby"),
            "The outcome of the commit is unknown. Repeat with the same Idempotency-Key.",
        ),
        (ServerRefused("on timeline 1"), "The database server that answers is not the one that the service worked on;"),
    ],
)
def test_an_unknown_outcome_and_a_refused_server_are_said_in_words(
    api: Asking, monkeypatch: pytest.MonkeyPatch, cause: Exception, words: str
) -> None:
    error = OperationalError(str(cause))
    error.__cause__ = cause
    said = told(api, monkeypatch, error, 503, "unavailable")
    assert words in said
    assert str(cause) not in said
