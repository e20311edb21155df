"""Who may see what: every address of the service and every page and action of the admin, for every kind of account.

The addresses are read from the resolver, so a new one is in here by being routed.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import Any, Final

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.urls.exceptions import NoReverseMatch

from tests import factories
from timers.api.route import ROUTES

pytestmark = pytest.mark.django_db

SECRET: Final = "a-name-nobody-without-rights-may-see"
API: Final = "api/v1/"
PUBLIC: Final = {"livez", "readyz", "login/", "sign-in/<uid>/<token>/", "admin/login/"}
"""What everybody may open, signed in or not."""
FOR_ALL_WHO_SIGNED_IN: Final = {
    "logout/", "admin/logout/", "api/v1/docs", "api/v1/openapi.json", "admin/password_change/",
    "admin/password_change/done/",
}  # fmt: skip
"""What shows nothing of timers, groups, nodes or accounts."""
OURS: Final = [(model, model_admin) for model, model_admin in admin.site._registry.items()]


def addresses() -> Iterator[str]:
    """All patterns of the service, as they are written."""

    def walk(patterns: list[Any], before: str) -> Iterator[str]:
        for each in patterns:
            here = before + str(each.pattern)
            if isinstance(each, URLResolver):
                yield from walk(each.url_patterns, here)
            elif isinstance(each, URLPattern):
                yield here

    return walk(get_resolver().url_patterns, "")


def filled(pattern: str) -> str:
    """An address that the pattern matches."""
    plain = re.sub(r"\(\?P<\w+>[^)]*\)", "timers", pattern).replace("^", "").replace("$", "").replace(r"\Z", "")
    return "/" + re.sub(r"<(?:(\w+):)?\w+>", lambda found: "1" if found[1] in {"int", None, "path"} else "x", plain)


ADDRESSES: Final = sorted(set(addresses()))
SHORTCUT: Final = "admin/r/"
"""Django's own way from the admin to a row's page, which no table here has."""
PAGES: Final = [
    each for each in ADDRESSES if (not each.startswith(API) or each == f"{API}docs") and not each.startswith(SHORTCUT)
]


@pytest.fixture(autouse=True)
def something_to_see() -> None:
    factories.timer(SECRET)


def account(kind: str) -> Client:
    """A browser in which an account of this kind has signed in."""
    client = Client()
    if kind == "anonymous":
        return client
    user = User.objects.create_user("them", is_staff=kind.startswith("staff"), is_superuser=kind == "superuser")
    if kind == "superuser":
        user.is_staff = True
        user.save()
    if kind == "staff who may view":
        user.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    client.force_login(user)
    return client


KINDS_WITHOUT: Final = ("anonymous", "plain", "staff")


@pytest.mark.parametrize("kind", KINDS_WITHOUT)
def test_without_rights_no_page_shows_anything(kind: str) -> None:
    client = account(kind)
    for pattern, method in itertools.product(PAGES, ("GET", "POST")):
        if "logout" in pattern and method == "POST":
            continue  # it would end the session
        response: Any = client.generic(method, filled(pattern))
        assert SECRET not in response.content.decode("utf-8", "replace")
        if pattern in PUBLIC:
            continue
        assert response.status_code < 500
        if kind == "anonymous":
            assert response.status_code in {302, 403, 404, 405}, response.status_code
            assert response.status_code != 302 or "login" in response.url
        elif pattern not in FOR_ALL_WHO_SIGNED_IN and pattern not in {"admin/", "admin/jsi18n/"}:
            assert response.status_code in {301, 302, 403, 404, 405}, response.status_code


@pytest.mark.parametrize("kind", KINDS_WITHOUT)
def test_without_rights_no_fragment_shows_anything(kind: str) -> None:
    response = account(kind).get("/", headers={"HX-Request": "true"})
    assert not response.content
    assert response.headers["HX-Refresh"] == "true"


@pytest.mark.parametrize("kind", ["plain", "staff"])
def test_an_account_without_rights_is_told_whom_to_ask(kind: str) -> None:
    response = account(kind).get("/")
    assert response.status_code == 403
    assert "Ask an administrator" in response.content.decode()
    assert "them" in response.content.decode()


@pytest.mark.parametrize("kind", [*KINDS_WITHOUT, "staff who may view", "superuser"])
def test_the_overview_and_the_api_agree_about_who_may_read(kind: str) -> None:
    client = account(kind)
    may_read = client.get("/api/v1/groups").status_code == 200
    page = client.get("/")
    assert (page.status_code == 200) == may_read
    assert (SECRET in page.content.decode()) == may_read


@pytest.mark.parametrize("kind", ["anonymous", "plain", "staff", "staff who may view"])
def test_admin_pages_ask_for_their_permission(kind: str) -> None:
    client = account(kind)
    for (model, _), name in itertools.product(OURS, ["changelist", "add", "change", "delete", "history"]):
        try:
            address = reverse(
                f"admin:{model._meta.app_label}_{model._meta.model_name}_{name}",
                args=[] if name in {"changelist", "add"} else ["1"],
            )
        except NoReverseMatch:
            continue
        status = client.get(address).status_code
        posted = client.post(address, {"post": "yes"}).status_code
        if kind in {"anonymous", "plain"}:
            assert (status, posted) == (302, 302), name
        elif kind == "staff":
            assert status in {302, 403, 404}, name
            assert posted in {302, 403, 404}, name
        else:
            assert status == 200 if name == "changelist" else status in {200, 302, 403, 404}, (name, status)
            if name in {"add", "delete"}:
                assert status in {302, 403, 404}, name
                assert posted in {302, 403, 404}, name


def test_who_may_only_view_is_offered_no_action(rf: Any) -> None:
    client = account("staff who may view")
    request = rf.get("/admin/")
    request.user = User.objects.get(username="them")
    for model, model_admin in OURS:
        _refuses_every_action(client, request, model, model_admin)


def _refuses_every_action(client: Client, request: Any, model: Any, model_admin: Any) -> None:
    allowed = model_admin.get_actions(request)
    assert not allowed, sorted(allowed)
    address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    before = model._default_manager.count()
    for name in [name for _, name, _ in model_admin._get_base_actions()]:
        response = client.post(address, {"action": name, "_selected_action": ["1"]})
        assert response.status_code < 500
        assert model._default_manager.count() == before


@pytest.mark.parametrize("kind", ["plain", "staff"])
def test_the_api_answers_a_session_without_rights_403(kind: str) -> None:
    client = account(kind)
    for route in ROUTES:
        address = "/api/v1" + re.sub(r"\{[^}]*\}", "x", route.path)
        response = client.generic(route.method, address, b"{}", content_type="application/json")
        assert SECRET not in response.content.decode()
        assert route.scope is None or response.status_code == 403, (route, response.content)
