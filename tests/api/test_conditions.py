"""Conditional writes: a PUT that only replaces, one that only creates, and changes of what was read."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.asking import Asking, fields, problem
from tests.api.description import openapi_schema
from tests.api.samples import Samples
from timers.api.route import ROUTES, Route
from timers.models import Secret, Timer, TimerGroup

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("billing")]

TIMER, SECRET = "/groups/billing/timers/a", "/secrets/a"
BODIES: dict[str, dict[str, Any]] = {TIMER: {"kind": "once", "after": 60}, SECRET: {"value": "s3cret"}}
BOTH = pytest.mark.parametrize("path", BODIES)


@BOTH
@pytest.mark.parametrize("given", ["*", '"1"'])
def test_a_put_that_only_replaces_creates_nothing(path: str, given: str, api: Asking) -> None:
    problem(api("PUT", path, BODIES[path], If_Match=given), 409, "stale_version")
    assert not Timer.objects.exists() and not Secret.objects.exists()


@BOTH
def test_a_put_that_only_replaces_replaces_what_is_there(path: str, api: Asking) -> None:
    made = api("PUT", path, BODIES[path])
    assert api("PUT", path, BODIES[path], If_Match="*").status_code == 200
    problem(api("PUT", path, BODIES[path], If_Match=made.headers["ETag"]), 409, "stale_version")
    assert api("PUT", path, BODIES[path], If_Match='"2"').headers["ETag"] == '"3"'


@BOTH
def test_a_put_that_only_creates_replaces_nothing(path: str, api: Asking) -> None:
    assert api("PUT", path, BODIES[path], If_None_Match="*").status_code == 201
    said = problem(api("PUT", path, BODIES[path], If_None_Match="*"), 409, "name_taken")
    assert fields(said) == ["name"]
    assert api("PUT", path, BODIES[path]).headers["ETag"] == '"2"'


@BOTH
@pytest.mark.parametrize("given", ['"1"', 'W/"1"', "", "x", '*, "1"'])
def test_another_word_of_if_none_match_is_refused_by_name(path: str, given: str, api: Asking) -> None:
    assert fields(problem(api("PUT", path, BODIES[path], If_None_Match=given), 422, "invalid")) == ["If-None-Match"]
    assert not Timer.objects.exists() and not Secret.objects.exists()


@BOTH
def test_a_put_that_may_neither_create_nor_replace_does_neither(path: str, api: Asking) -> None:
    problem(api("PUT", path, BODIES[path], If_Match="*", If_None_Match="*"), 409, "stale_version")
    api("PUT", path, BODIES[path])
    problem(api("PUT", path, BODIES[path], If_Match="*", If_None_Match="*"), 409, "name_taken")


def test_the_name_of_a_timer_that_has_ended_is_free_and_there_is_nothing_to_replace(api: Asking) -> None:
    api("PUT", TIMER, BODIES[TIMER])
    api("DELETE", TIMER)
    for given in ("*", api("GET", TIMER).headers["ETag"]):
        problem(api("PUT", TIMER, BODIES[TIMER], If_Match=given), 409, "stale_version")
    assert api("PUT", TIMER, BODIES[TIMER], If_None_Match="*").status_code == 201


def test_without_its_group_a_timer_is_not_found_whatever_the_condition(api: Asking) -> None:
    for condition in ("If_Match", "If_None_Match"):
        problem(api("PUT", "/groups/none/timers/a", BODIES[TIMER], **{condition: "*"}), 404, "not_found")


def test_any_version_of_what_is_there_may_be_changed_and_deleted(api: Asking) -> None:
    api("PUT", TIMER, BODIES[TIMER])
    assert api("PATCH", TIMER, {"description": "x"}, If_Match="*").status_code == 200
    assert api("DELETE", TIMER, If_Match="*").status_code == 200
    for method in ("PATCH", "DELETE"):
        problem(api(method, "/groups/billing/timers/none", {}, If_Match="*"), 404, "not_found")


@pytest.mark.parametrize(
    ("made", "body", "gone"),
    [
        ("/calendars", {"name": "a", "rules": [{"weekdays": ["sun"]}]}, "/calendars/a"),
        ("/secrets/a", BODIES[SECRET], SECRET),
    ],
)
def test_what_was_changed_since_it_was_read_is_not_deleted(
    made: str, body: dict[str, Any], gone: str, api: Asking
) -> None:
    assert api("PUT" if made == gone else "POST", made, body).status_code == 201
    problem(api("DELETE", gone, If_Match='"77"'), 409, "stale_version")
    assert api("DELETE", gone, If_Match='"1"').status_code == 204
    problem(api("DELETE", gone), 404, "not_found")


@pytest.mark.parametrize("header", ["If-Match", "If-None-Match"])
@pytest.mark.parametrize("route", [each for each in ROUTES if each.method != "GET"], ids=lambda each: str(each.path))
def test_a_condition_that_is_not_heeded_is_refused(route: Route, header: str, api: Asking, billing: TimerGroup) -> None:
    described = openapi_schema()["paths"][f"/api/v1{route.path}"][route.method.lower()]
    if header in {each["name"] for each in described["parameters"]}:
        return
    path = Samples(billing).path(route.path)
    said = problem(api(route.method, path, {}, **{header.replace("-", "_"): '"1"'}), 422, "invalid")
    assert header in fields(said) or "requestBody" in described, "where the body lacks something, that is told first"


@pytest.mark.parametrize("method", ["PUT", "PATCH", "POST"])
@pytest.mark.parametrize(
    "own",
    [
        {"kind": "fixed_rate", "period": "PT1M"},
        {"kind": "fixed_delay", "delay": 60},
        {"kind": "cron", "expression": "H 2 * * *", "time_zone": "Europe/Berlin"},
        {"kind": "rrule", "rule": "FREQ=WEEKLY;INTERVAL=2"},
        {"kind": "once", "at": "2040-01-01T00:00:00Z"},
    ],
    ids=lambda own: own["kind"],
)
def test_a_timer_that_is_written_as_it_is_keeps_its_version_and_its_next_fire(
    own: dict[str, Any], method: str, api: Asking
) -> None:
    body = {**own, "payload": {"n": 1}, "tags": ["a"], "jitter": 30 if own["kind"] != "fixed_delay" else 0}
    api.post("/groups/billing/timers", {**body, "name": "same"})
    before = _told(api)
    if method == "POST":
        api.post("/groups/billing/timers", {**body, "name": "same", "on_conflict": "replace"})
    else:
        assert api(method, "/groups/billing/timers/same", body, If_Match='"1"').status_code == 200
    assert _told(api) == before


def _told(api: Asking) -> dict[str, Any]:
    """What the API shows of the timer, without the seconds that are left to its next fire."""
    return {word: value for word, value in api.get("/groups/billing/timers/same").items() if word != "remaining"}
