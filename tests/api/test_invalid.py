"""What is told of a body or a query that is wrong: in plain words, with what was given where that is short."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.asking import Asking, problem

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("billing")]

CLAIMS = "/groups/billing/claims"


def told(response: Any) -> dict[str, str]:
    return {error["field"]: error["message"] for error in problem(response, 422, "invalid")["errors"]}


@pytest.mark.parametrize(
    ("path", "field", "message"),
    [
        ("/executions?since=morgen", "since", "must be an instant with a time zone, such as 2026-11-20T15:00:27Z or "
         "2026-11-20T16:00:27+01:00 (given: 'morgen')"),
        ("/executions?limit=x", "limit", "must be a whole number (given: 'x')"),
        ("/executions?limit=0", "limit", "must be at least 1 (given: '0')"),
        ("/executions?limit=201", "limit", "must be at most 200 (given: '201')"),
        ("/executions?min_lateness=x", "min_lateness",
         "must be a number of seconds, or an ISO 8601 duration such as PT1M30S (given: 'x')"),
        ("/executions?min_lateness=-1", "min_lateness", "must be from 0 s to 11574 d 1 h 46 m 40 s (given: -1)"),
        ("/executions?group=", "group", "must not be empty"),
        ("/operations?state=off", "state", "must be one of running, paused, done, cancelled (given: 'off')"),
        ("/audit?subject=tmer:x", "subject", "is of an unknown kind; did you mean timer? (given: 'tmer')"),
    ],
)  # fmt: skip
def test_a_parameter_that_makes_no_sense_is_told_in_plain_words(
    path: str, field: str, message: str, api: Asking
) -> None:
    assert told(api("GET", path)) == {field: message}


@pytest.mark.parametrize("number", ["1.5", "2", "PT2S"])
def test_a_duration_in_a_query_is_a_number_or_iso_text(number: str, api: Asking) -> None:
    assert api.get(f"/executions?min_lateness={number}")["items"] == []


def test_all_that_is_wrong_with_a_body_is_told_with_what_is_known(api: Asking) -> None:
    wrong = {"consumer": "", "limit": 1.5, "lease": "1m", "wait": 21, "subscription": 5, "waits": 1, "colour": "red"}
    assert told(api("POST", CLAIMS, wrong)) == {
        "consumer": "must not be empty",
        "limit": "must be a whole number (given: 1.5)",
        "lease": "must be a number of seconds, or an ISO 8601 duration such as PT1M30S (given: '1m')",
        "wait": "must be from 0 s to 20 s (given: 21)",
        "subscription": "must be text (given: 5)",
        "waits": "is not known here; did you mean wait?",
        "colour": "is not known here; known are consumer, lease, limit, subscription, wait",
    }


def test_what_is_unknown_deep_in_a_body_is_told_with_what_is_known_there(api: Asking) -> None:
    assert told(api("POST", "/claims/commit", {"items": [{"colour": 1, "execution": "x", "token": 5}]})) == {
        "items.0.colour": "is not known here; known are execution, result, token",
        "items.0.token": "must be text",
    }
    assert told(api("POST", "/claims/commit", {"items": {}})) == {"items": "must be a list"}


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        ("/groups", [], {"body": "must be an object"}),
        (CLAIMS, {}, {"consumer": "is needed"}),
        (CLAIMS, [], {"body": "must be an object"}),
        ("/groups/billing/timers", {}, {
            "kind": "must be one of once, fixed_rate, fixed_delay, cron, calendar, window, rrule",
            "name": "must be text of 1 to 200 characters",
        }),
    ],
)  # fmt: skip
def test_what_is_missing_or_none_at_all_is_told_without_what_was_given(
    path: str, body: Any, expected: dict[str, str], api: Asking
) -> None:
    assert told(api("POST", path, body)) == expected


def test_a_secret_value_is_not_repeated(api: Asking) -> None:
    assert "47110815" not in str(told(api("PUT", "/secrets/a", {"value": 47110815})))


def test_a_flag_is_told_in_plain_words(api: Asking) -> None:
    assert told(api("POST", "/groups/billing/timers/bulk?atomic=perhaps", [])) == {
        "atomic": "must be true or false (given: 'perhaps')"
    }
