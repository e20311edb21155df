"""Asks a route whatever its description allows, or does not allow, and checks each answer against it."""

from __future__ import annotations

import json
from typing import Any

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

from tests.api.samples import Samples
from timerproject.wsgi import application
from timers.api.description_pages import description
from timers.api.route import Route

MODES = {"allowed": GenerationMode.POSITIVE, "not allowed": GenerationMode.NEGATIVE}
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
]
CONFIG = {"checks": {"negative_data_rejection": {"expected-statuses": ["4xx", 503]}}}
"""Too many of something is refused with 413, which is not among the statuses that are a refusal otherwise."""


def described(samples: Samples) -> Any:
    """The description, with things that exist in the place of the names and ids of paths."""
    raw = json.loads(description())
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


def ask_by_description(route: Route, mode: str, samples: Samples, key: str, *, examples: int) -> None:
    """Ask one route so many times with data that is allowed, or not allowed; each answer must be a described one."""
    operation = described(samples)[f"/api/v1{route.path}"][route.method]
    authorization = {"Authorization": f"Bearer {key}"}

    @given(case=operation.as_strategy(generation_mode=MODES[mode]))
    @settings(
        max_examples=examples, deadline=None, database=None, derandomize=True, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    def ask(case: Any) -> None:
        # A query holds neither objects nor lists: their text would be sent, and a text it may be.
        assume(not any(isinstance(value, (dict, list)) for value in (case.query or {}).values()))
        response = case.call(headers=authorization)
        case.validate_response(response, checks=CHECKS)

    ask()
