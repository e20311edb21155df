"""Who may do what: every route with every kind of key that may not. A new route is in here by being declared."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta

import pytest

from tests import factories
from tests.api.asking import Asking, problem
from tests.api.description import openapi_schema
from tests.api.samples import Samples
from timers import clock
from timers.api.route import ROUTES, Route
from timers.control.keys import revoke_key
from timers.models import ApplicationKey, TimerGroup
from timers.security.authentication import forget_known_keys
from timers.security.scopes import SCOPES

pytestmark = pytest.mark.django_db

ALL = [pytest.param(route, id=f"{route.method} {route.path}") for route in ROUTES]
IS_GLOBAL = (
    "/groups", "/executions", "/failures", "/operations", "/claims/commit", "/calendars", "/me", "/audit",
    "/openapi.json", "/schedules/preview", "/orders",
)  # fmt: skip
"""What is there for every key, each seeing its own."""


@pytest.fixture
def samples(billing: TimerGroup) -> Samples:
    factories.group("other")
    return Samples(billing)


def ask(key: str, route: Route, samples: Samples, address: str = "127.0.0.1") -> object:
    body = b"{}" if route.method in {"POST", "PUT", "PATCH"} else None
    return Asking(key, address=address)(route.method, samples.path(route.path), body)


def test_every_address_of_the_api_is_a_declared_route() -> None:
    described = {
        (method.upper(), path.removeprefix("/api/v1"))
        for path, operations in openapi_schema()["paths"].items()
        for method in operations
    }
    assert described == {(route.method, route.path) for route in ROUTES}


@pytest.mark.parametrize("route", ALL)
def test_without_a_key_that_holds_nothing_is_told(route: Route, samples: Samples, new_key: Callable[..., str]) -> None:
    good = new_key("admin")
    forged = good[:-12] + "A" * 12
    elsewhere = new_key("admin", allowed_addresses=["10.9.8.0/24"])
    expired, revoked = new_key("admin"), new_key("admin")
    ApplicationKey.objects.filter(name="key-3").update(expires_at=clock.now() - timedelta(seconds=1))
    revoke_key(ApplicationKey.objects.get(name="key-4").public_id)
    forget_known_keys()
    said = []
    for key in ("", "tk_x", forged, elsewhere, expired, revoked):
        response = ask(key, route, samples)
        said.append({**problem(response, 401, "unauthorized"), "request_id": ""})
        assert response.headers["WWW-Authenticate"].startswith("Bearer")
    assert all(each == said[1] for each in said[1:])


@pytest.mark.parametrize("route", ALL)
def test_without_the_scope_it_is_forbidden(route: Route, samples: Samples, new_key: Callable[..., str]) -> None:
    if route.scope is None:
        return
    key = new_key(*(scope for scope in SCOPES if scope not in {route.scope, "admin"}))
    said = problem(ask(key, route, samples), 403, "forbidden")
    assert route.scope in said["detail"]


@pytest.mark.parametrize("route", ALL)
def test_a_key_for_other_groups_does_not_find_what_is_there(
    route: Route, samples: Samples, new_key: Callable[..., str]
) -> None:
    samples.make_all()
    response = ask(new_key("admin", groups=["other"]), route, samples)
    if route.all_groups:
        problem(response, 403, "forbidden")
    elif "{" in route.path and not route.path.startswith("/calendars"):
        assert problem(response, 404, "not_found")["detail"].endswith("or this key may not see it.")
    else:
        assert samples.group.name not in response.content.decode()
        assert route.path.startswith(IS_GLOBAL), "say whether a key that is limited to groups may ask this"


@pytest.mark.parametrize("route", ALL)
def test_the_right_key_is_let_in(route: Route, samples: Samples, new_key: Callable[..., str]) -> None:
    response = ask(new_key(route.scope or "read", "read"), route, samples)
    assert response.status_code not in {401, 403, 404, 405, 500}, response.content


@pytest.mark.parametrize("route", [each for each in ALL if each.values[0].method != "GET"])
def test_a_session_changes_nothing_without_its_csrf_token(route: Route, samples: Samples, superuser: object) -> None:
    asking = Asking()
    asking.client.handler.enforce_csrf_checks = True
    asking.client.force_login(superuser)
    path = samples.path(route.path)
    said = problem(asking(route.method, path, b"{}"), 403, "forbidden")
    assert "CSRF" in said["detail"]
    problem(asking(route.method, path, b"{}", X_CSRFToken="x" * 32), 403, "forbidden")


def test_a_session_reads_and_a_key_ignores_it(superuser: object, new_key: Callable[..., str]) -> None:
    asking = Asking()
    asking.client.force_login(superuser)
    assert asking.get("/groups")["items"] == []
    problem(Asking("tk_x", client=asking.client)("GET", "/groups"), 401, "unauthorized")


def test_reading_writes_nothing(
    api: Asking, samples: Samples, django_assert_max_num_queries: Callable[..., object]
) -> None:
    api.get("/me") if any(route.path == "/me" for route in ROUTES) else None
    for route in ROUTES:
        if route.method == "GET":
            path = samples.path(route.path)
            with django_assert_max_num_queries(30) as asked:
                response = api("GET", path)
            assert response.status_code == 200, (path, json.loads(response.content))
            writes = [
                query["sql"]
                for query in asked.captured_queries
                if query["sql"].split()[0] in {"INSERT", "UPDATE", "DELETE"}
            ]
            assert [sql for sql in writes if "last_used" not in sql] == [], path
