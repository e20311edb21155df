"""The app in a project that is not this one: own users, own sign-in, own API and error pages, any prefix."""

from __future__ import annotations

import json
import os
import signal

import pytest

from tests.packaging.conftest import Host
from tests.support.eventually import eventually

pytestmark = pytest.mark.cluster

PAGES = """
import json
from django.contrib.auth import get_user_model
from django.test import Client

found = {{}}
user = get_user_model().objects.create_superuser("owner", password="owner")
visitor, owner = Client(raise_request_exception=False), Client(raise_request_exception=False)
owner.force_login(user)
for client, path in {asked}:
    page = {{"visitor": visitor, "owner": owner}}[client].get(path)
    found[f"{{client}} {{path}}"] = [page.status_code, page.headers.get("Location", ""), page.content.decode()]
print(json.dumps(found))
"""
SCHEDULE = """
from timers.scheduling import ensure_group, schedule_once
ensure_group("shelf", action={"handler": "shop.note"})
schedule_once("shelf", "count", after=0, payload={"item": "pears"})
"""


def pages(host: Host, *asked: tuple[str, str]) -> dict[str, tuple[int, str, str]]:
    """What the project answers to requests of a visitor and of its owner: status, where it leads, content."""
    found = json.loads(host.python(PAGES.format(asked=list(asked))))
    return {asked: (status, leads_to, content) for asked, (status, leads_to, content) in found.items()}


def test_checks_find_nothing_and_no_migration_is_missing(host: Host) -> None:
    assert "no issues" in host.manage("check")
    assert "No changes" in host.manage("makemigrations", "--check", "--dry-run", "timers")


def test_handler_of_the_project_is_run_by_a_node(host: Host) -> None:
    host.migrate()
    host.python(SCHEDULE)
    node = host.start("runtimerworker", "--workers", "1")
    try:
        eventually(host.notes.exists, within=60)
    finally:
        os.killpg(node.pid, signal.SIGTERM)
        node.wait(60)
    assert host.notes.read_text() == "count pears\n"
    outcomes = "from timers.models import Attempt; print(*Attempt.objects.values_list('name', 'outcome'))"
    eventually(lambda: host.python(outcomes) == "('count', 'succeeded')\n", within=30)


def test_console_admin_and_api_are_below_the_prefix(host: Host) -> None:
    host.migrate()
    host.python(SCHEDULE)
    found = pages(
        host,
        ("visitor", "/ops/timers/"),
        ("visitor", "/ops/timers/api/v1/groups"),
        ("visitor", "/ops/timers/api/none"),
        ("owner", "/ops/timers/"),
        ("owner", "/ops/timers/api/v1/groups"),
        ("owner", "/ops/timers/api/v1/openapi.json"),
        ("owner", "/ops/timers/api/v1/docs"),
        ("owner", "/office/timers/timer/"),
        ("owner", "/office/timers/timer/add/"),
    )
    assert found["visitor /ops/timers/"][:2] == (302, "/enter/?next=/ops/timers/")
    assert found["visitor /ops/timers/api/v1/groups"][0] == 401
    assert json.loads(found["visitor /ops/timers/api/none"][2])["code"] == "not_found"
    status, _, overview = found["owner /ops/timers/"]
    assert (status, 'href="/office/"' in overview, 'href="/ops/timers/api/v1/docs"' in overview) == (200, True, True)
    assert json.loads(found["owner /ops/timers/api/v1/groups"][2])["items"][0]["name"] == "shelf"
    assert '"/ops/timers/api/v1/groups/{group}/timers"' in found["owner /ops/timers/api/v1/openapi.json"][2]
    assert "swagger-ui" in found["owner /ops/timers/api/v1/docs"][2]
    assert [found[f"owner /office/timers/timer/{rest}"][0] for rest in ("", "add/")] == [200, 200]


KEYS = """
from django.contrib.auth import get_user_model
from django.test import Client
from timers.control.keys import create_key
from timers.models import ApplicationKey
from timers.security.authentication import forget_known_keys

user = get_user_model().objects.create_superuser("owner", password="owner")
_, text = create_key("robot", user=user, scopes=["admin"], all_groups=True)
robot, owner = Client(headers={"authorization": f"Bearer {text}"}), Client()
owner.force_login(user)
answer = robot.get("/ops/timers/api/v1/keys")
print(answer.status_code, [(key["name"], key["user"]) for key in answer.json()["items"]])
page = owner.get("/office/timers/applicationkey/").content.decode()
print(owner.get("/office/timers/applicationkey/?o=3").status_code, "robot" in page, "owner" in page)
get_user_model().objects.create_user("staff", password="staff")
user.delete()
forget_known_keys()
print(ApplicationKey.objects.count(), robot.get("/ops/timers/api/v1/groups").status_code)
"""


def test_keys_act_for_users_of_the_project_and_are_deleted_with_them(host: Host) -> None:
    host.migrate()
    assert host.python(KEYS).splitlines() == ["200 [('robot', 'owner')]", "200 True True", "0 401"]


def test_tables_are_created_only_in_the_database_of_the_timers(host: Host) -> None:
    host.migrate()
    tables = """
from django.db import connections
for alias in connections:
    names = connections[alias].introspection.table_names()
    print(alias, any(n.startswith("timers_") for n in names), "auth_group" in names)
"""
    found = host.python(tables).splitlines()
    expected = {"default": ["default True True"], "second": ["default False True", "timers True False"]}
    assert found == expected[host.timers_in]


def test_pages_of_the_project_are_left_alone(host: Host) -> None:
    host.migrate()
    found = pages(
        host,
        ("visitor", "/enter/"),
        ("visitor", "/api/products?q=%00"),
        ("visitor", "/api/none"),
        ("visitor", "/office/login/"),
    )
    assert found["visitor /enter/"] == (200, "", "the door of the shop")
    assert found["visitor /api/products?q=%00"] == (200, "", '{"query": "\\u0000"}')
    assert found["visitor /api/none"] == (404, "", "nothing of this name in the shop")
    assert "Django administration" in found["visitor /office/login/"][2]


@pytest.mark.parametrize("host", ["default"], indirect=True)
@pytest.mark.parametrize(
    ("mistake", "said", "remedy"),
    [
        (
            'TIMERS = {"LAESE": 30}',
            "TIMERS_LAESE is no setting of the timer service; did you mean TIMERS_LEASE?",
            "TIMERS",
        ),
        ('TIMERS = {"LEASE": "soon"}', "TIMERS_LEASE must be a number of seconds", "TIMERS"),
        ('INSTALLED_APPS.remove("django.contrib.postgres")', "needs django.contrib.postgres", "INSTALLED_APPS"),
        (
            'MIDDLEWARE.remove("timers.api.middleware.ApiMiddleware")',
            "timers.api.middleware.ApiMiddleware is missing",
            "Add it first",
        ),
        ('DATABASES["default"] = {"ENGINE": "django.db.backends.sqlite3"}', "this database is sqlite", "PostgreSQL 14"),
        ('TIMERS["DATABASE"] = "elsewhere"', "'elsewhere', which is not in DATABASES", "default"),
        (
            'DATABASES["timers"] = DATABASES["default"]; TIMERS["DATABASE"] = "timers"',
            "models of the timer service are sent to another database",
            "timers.database.TimersRouter",
        ),
        ('INSTALLED_APPS.remove("ninja")', "ninja is missing in INSTALLED_APPS", "Add it"),
        ("USE_TZ = False", "needs time zone support", "USE_TZ = True"),
        ('ROOT_URLCONF = "shop.clashing_urls"', "leads to another view", "once"),
    ],
)
def test_wrong_settings_of_the_project_are_an_error_of_check_with_a_remedy(
    host: Host, mistake: str, said: str, remedy: str
) -> None:
    with (host.folder / "shop" / "settings.py").open("a") as settings:
        settings.write(f"\n{mistake}\n")
    refused = host.refusal("check")
    assert "Traceback" not in refused
    assert said in refused
    assert remedy in refused
