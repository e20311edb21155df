"""What is not the caller's to say is refused by name on every route that takes an object, and nothing is changed."""

from __future__ import annotations

import inspect
from typing import Any, Final

import pytest
from django.apps import apps

from tests.api.asking import Asking, fields, problem
from tests.api.description import openapi_schema
from tests.api.samples import Samples
from timers import chains, consuming, executions, scheduling, subscriptions
from timers.api.route import ROUTES, Route
from timers.api.timer_body import BULK_REQUEST
from timers.control import keys, secrets
from timers.models import TimerGroup

pytestmark = pytest.mark.django_db

OF_THE_SERVICE: Final = (
    "id", "group_id", "state", "state_reason", "version", "created_at", "created_by", "updated_at", "updated_by",
    "fire_count", "next_fire_at", "shard", "claimed_by", "public_id", "digest", "is_superuser", "last_used_at", "total",
    "done", "__class__", "colour",
)  # fmt: skip
ARGUMENTS: Final = tuple(
    sorted({
        name
        for module in (chains, consuming, executions, scheduling, subscriptions, keys, secrets)
        for _, function in inspect.getmembers(module, inspect.isfunction)
        for name in inspect.signature(function).parameters
    })
)  # fmt: skip
"""What the views give to the functions behind them, and nobody may give in their place."""
AT_ONCE: Final = 10


def object_schemas() -> dict[Route, dict[str, Any]]:
    """The schema of its body for each route that takes an object."""
    described = openapi_schema()
    found = {}
    for route in ROUTES:
        content = described["paths"][f"/api/v1{route.path}"][route.method.lower()].get("requestBody", {}).get("content")
        if content is not None:
            schema = resolved(content["application/json"]["schema"], described)
            if schema.get("type") == "object" or "oneOf" in schema:
                found[route] = schema
    return found


def resolved(schema: dict[str, Any], described: Any) -> dict[str, Any]:
    for each in (schema, *schema.get("allOf", ())):
        if "$ref" in each:
            return dict(described["components"]["schemas"][each["$ref"].rpartition("/")[2]])
    return schema


def known(schema: dict[str, Any]) -> set[str]:
    """The words that may stand in the body."""
    return {word for each in schema.get("oneOf", [schema]) for word in each.get("properties", ())}


OBJECTS: Final = object_schemas()


def rows() -> dict[str, list[dict[str, Any]]]:
    """All that is kept, in every table of the service; but not that a key was used."""
    models = apps.get_app_config("timers").get_models()
    kept = {model.__name__: sorted(model.objects.values(), key=str) for model in models}
    for key in kept["ApplicationKey"]:
        del key["last_used_at"], key["last_used_address"]
    return kept


def test_every_write_that_takes_something_takes_an_object_or_says_why_not() -> None:
    others = {(route.method, route.path) for route in ROUTES if route.method in {"POST", "PUT", "PATCH"}} - {
        (route.method, route.path) for route in OBJECTS
    }
    assert others == {
        ("POST", "/handlers/{handler}"),  # any value: what is in it is the handler's business
        ("POST", "/groups/{group}/timers/bulk"),  # a list; each of its objects is refused by itself
    }


@pytest.mark.parametrize("route", [pytest.param(route, id=f"{route.method} {route.path}") for route in OBJECTS])
def test_what_is_not_the_callers_to_say_is_refused_by_name(route: Route, api: Asking, billing: TimerGroup) -> None:
    path, schema = Samples(billing).path(route.path), OBJECTS[route]
    (example,) = schema.get("examples", [{}])
    given = {**example, "group": billing.name} if "group" in example else example
    words = [word for word in (*OF_THE_SERVICE, *ARGUMENTS) if word not in known(schema)]
    before = rows()
    while words:
        some = words[:AT_ONCE]
        said = problem(api(route.method, path, {**given, **dict.fromkeys(some, "1")}), 422, "invalid")
        # Those that would be taken for an argument may be told before the others.
        told = {*some} & {*fields(said)}
        assert told, some
        words = [word for word in words if word not in told]
    assert rows() == before


def test_of_many_timers_at_once_each_is_refused_by_itself(api: Asking, billing: TimerGroup) -> None:
    words = sorted({*OF_THE_SERVICE, *ARGUMENTS} - known(BULK_REQUEST))
    asked = [{"kind": "once", "name": word, "after": 60, word: "1"} for word in words]
    before = rows()
    results = api.post(f"/groups/{billing.name}/timers/bulk", asked)["results"]
    assert [(each["result"], fields(each)) for each in results] == [("refused", [word]) for word in words]
    assert rows() == before
