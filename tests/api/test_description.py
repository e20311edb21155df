"""The description of the API: whatever it allows is answered as it says, and whatever it does not allow is refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.api.asking import Asking
from tests.api.describing import MODES, ask_by_description
from tests.api.description import openapi_schema
from tests.api.samples import Samples
from tests.support.profile import IS_LONG
from timers.api.route import ROUTES, Route
from timers.models import TimerGroup

EXAMPLES = 100 if IS_LONG else 6
"""Of each route and mode."""


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("route", [pytest.param(route, id=f"{route.method} {route.path}") for route in ROUTES])
@pytest.mark.parametrize("mode", MODES)
def test_every_answer_is_described(route: Route, mode: str, billing: TimerGroup, new_key: Callable[..., str]) -> None:
    ask_by_description(route, mode, Samples(billing), new_key("admin"), examples=EXAMPLES)


@pytest.mark.django_db
def test_the_example_of_a_body_is_taken_as_it_stands(api: Asking, billing: TimerGroup) -> None:
    paths = api.get("/openapi.json")["paths"]
    for path, method in (
        ("/groups/{group}/timers", "post"), ("/groups/{group}/timers/{name}", "put"), ("/schedules/preview", "post"),
    ):  # fmt: skip
        body = paths[f"/api/v1{path}"][method]["requestBody"]["content"]["application/json"]["schema"]
        (example,) = body["examples"]
        if "group" in example:
            example["group"] = billing.name
        asked = path.format(group=billing.name, name="order-1")
        response = api(method.upper(), asked, example)
        assert response.status_code in {200, 201}, response.content


@pytest.mark.django_db
def test_the_description_is_complete_openapi(api: Asking) -> None:
    raw = api.get("/openapi.json")
    assert raw["openapi"] == "3.1.0"
    for path, operations in raw["paths"].items():
        for method, operation in operations.items():
            assert operation["summary"], (method, path)
            assert operation["tags"], (method, path)
            assert {"400", "401", "403", "422", "429", "500", "503"} <= set(operation["responses"]), (method, path)
    names = [operation["operationId"] for operations in raw["paths"].values() for operation in operations.values()]
    assert len(set(names)) == len(names)


@pytest.mark.django_db
def test_a_body_that_is_held_to_the_bounds_is_answered_as_described_by_every_route(
    api: Asking, billing: TimerGroup
) -> None:
    samples, paths = Samples(billing), openapi_schema()["paths"]
    for route in ROUTES:
        described = paths[f"/api/v1{route.path}"][route.method.lower()]["responses"]
        path = samples.path(route.path)
        for body, headers, status in (
            (b"x", {"Content_Encoding": "gzip"}, 415),
            (b"x" * 262_145, {}, 413 if not path.endswith("/bulk") else 400),
            (b"x", {"Transfer_Encoding": "chunked"}, 411),
        ):
            assert api(route.method, path, body, **headers).status_code == status, route
            assert str(status) in described, route


@pytest.mark.django_db
def test_the_description_of_a_call_of_a_handler_tells_of_the_header_that_says_what_follows(api: Asking) -> None:
    answers = api.get("/openapi.json")["paths"]["/api/v1/handlers/{handler}"]["post"]["responses"]
    told = {status: answer["headers"]["timer-outcome"]["schema"] for status, answer in answers.items()
            if "timer-outcome" in answer.get("headers", {})}  # fmt: skip
    assert told == {"422": {"enum": ["fail"]}, "503": {"enum": ["discard", "snooze"]}}
    assert "Retry-After" in answers["503"]["headers"]
