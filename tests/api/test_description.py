"""The description of the API: whatever it allows is answered as it says, and whatever it does not allow is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, assume, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.generation.modes import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.api.asking import Asking
from tests.api.samples import Samples
from timerproject.wsgi import application
from timers.api.api import api as whole
from timers.api.route import ROUTES, Route
from timers.models import TimerGroup

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
]
EXAMPLES = 25
CONFIG = {"checks": {"negative_data_rejection": {"expected-statuses": ["4xx", 503]}}}
"""Too many of something is refused with 413, which is not among the statuses that are a refusal otherwise."""


def described(samples: Samples) -> Any:
    """The description, with things that exist in the place of the names and ids of paths."""
    raw = json.loads(json.dumps(whole.get_openapi_schema()))
    for path, operations in raw["paths"].items():
        for method, operation in operations.items():
            for parameter in operation["parameters"]:
                # What a PUT names last need not be there.
                makes_it = method == "put" and path.endswith(f"{{{parameter['name']}}}")
                if parameter["in"] == "path" and not makes_it:
                    parameter["schema"] = {"type": "string", "enum": [samples.one(parameter["name"]), "none"]}
    schema = schemathesis.openapi.from_dict(raw, config=SchemathesisConfig.from_dict(CONFIG))
    schema.app = application
    return schema


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("route", [pytest.param(route, id=f"{route.method} {route.path}") for route in ROUTES])
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["allowed", "not allowed"])
def test_every_answer_is_described(
    route: Route, mode: GenerationMode, billing: TimerGroup, new_key: Callable[..., str]
) -> None:
    operation = described(Samples(billing))[f"/api/v1{route.path}"][route.method]
    authorization = {"Authorization": f"Bearer {new_key('admin')}"}

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=EXAMPLES, deadline=None, database=None, derandomize=True, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    def ask(case: Any) -> None:
        # A query holds neither objects nor lists: their text would be sent, and a text it may be.
        assume(not any(isinstance(value, (dict, list)) for value in (case.query or {}).values()))
        response = case.call(headers=authorization)
        case.validate_response(response, checks=CHECKS)

    ask()


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
    samples, paths = Samples(billing), api.get("/openapi.json")["paths"]
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
