from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests import factories
from timers import clock
from timers.models import ClusterPause

pytestmark = pytest.mark.django_db
FRAGMENT = {"HX-Request": "true"}


@pytest.fixture
def viewer(client: Client) -> Client:
    """A person who may view timers and nothing else."""
    user = User.objects.create_user("viewer")
    user.user_permissions.add(Permission.objects.get(codename="view_timer"))
    client.force_login(user)
    return client


@pytest.fixture
def operator(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("operator"))
    return client


def test_without_a_login_the_page_leads_to_it_and_back(client: Client) -> None:
    response: Any = client.get("/")

    assert response.status_code == 302
    assert response.url == "/login/?next=/"


def test_a_fragment_asked_for_after_the_session_ended_reloads_the_page_instead_of_showing_a_login_in_it(
    client: Client,
) -> None:
    response = client.get("/", headers=FRAGMENT)

    assert response.headers["HX-Refresh"] == "true"
    assert not response.content


def test_page_and_fragment_come_from_one_template(viewer: Client) -> None:
    factories.timer("it")
    page, fragment = viewer.get("/"), viewer.get("/", headers=FRAGMENT)

    assert "<html" in page.text
    assert "<html" not in fragment.text
    for response in (page, fragment):
        assert "timers/console/overview/_live.html" in {template.name for template in response.templates}
        assert 'id="sentence"' in response.text
        assert ">it</th>" in response.text


def test_neither_page_nor_fragment_is_kept_by_a_cache(viewer: Client) -> None:
    for headers in ({}, FRAGMENT):
        response = viewer.get("/", headers=headers)
        assert "no-store" in response.headers["Cache-Control"]
        assert "HX-Request" in response.headers["Vary"]


def test_the_page_is_only_read(viewer: Client) -> None:
    assert viewer.post("/").status_code == 405


def test_an_empty_installation_says_what_to_do(viewer: Client) -> None:
    page = viewer.get("/").text

    assert "No node is alive: no timer fires." in page
    assert "python manage.py runtimerworker" in page
    assert "Nothing will fire" in page
    assert "Nothing has run yet" in page


def test_nodes_fires_and_attempts_are_told(viewer: Client) -> None:
    node = factories.node("node-a", busy=3, busy_threads=3)
    timer = factories.timer("charge", in_group=factories.group("billing"), due_in=42)
    factories.claim(node, timer, executions=9)
    factories.attempt(timer, "error", number=2, node="node-a", error_title="CardDeclined: expired\nTraceback")

    page = viewer.get("/").text

    for told in (
        "node-a",
        "3 of 16 threads, 0 of 400 async slots",
        "charge",
        "billing",
        "every 1 h",
        "in 4",
        "CardDeclined: expired",
        "error",
    ):
        assert told in page
    assert "Traceback" not in page


def test_only_who_may_use_the_admin_is_led_there(viewer: Client) -> None:
    factories.timer()
    factories.waiting(factories.timer())

    assert "/admin/" not in viewer.get("/").text


def test_failed_executions_lead_to_the_admins_list_of_them(operator: Client) -> None:
    factories.node()
    factories.waiting(factories.timer())

    page = operator.get("/").text

    assert "/admin/timers/waiting/?state__exact=failed" in page
    assert "1 failed and waiting for you" in page
    assert "<title>(1 failed) Overview" in page
    assert operator.get("/admin/timers/waiting/?state__exact=failed").context["cl"].result_count == 1


@pytest.mark.parametrize(
    ("node", "told"),
    [
        ({"beat_ago": 5, "lease": 60}, "is suspect (phi "),
        ({"clock_offset": 0.4}, "ahead of the database&#x27;s"),
        ({"clock_offset": -0.4}, "behind the database&#x27;s"),
        ({"state": "draining"}, "No living node takes timers"),
        ({"beat_ago": 60, "lease": 10}, "No node is alive"),
    ],
)
def test_each_trouble_has_its_banner(viewer: Client, node: dict[str, Any], told: str) -> None:
    factories.node("node-a", **node)

    assert told in viewer.get("/").text


def test_a_healthy_cluster_has_no_banner(viewer: Client) -> None:
    factories.node()

    page = viewer.get("/").text

    assert 'class="banner' not in page
    assert "All well: 1 node alive" in page


def test_times_are_absolute_and_relative(viewer: Client) -> None:
    row = factories.attempt(factories.timer(), ago=125)

    page = viewer.get("/").text

    assert f'datetime="{row.scheduled_for:%Y-%m-%dT%H:%M:%S}' in page
    assert "2 m 5 s ago" in page


def test_names_and_errors_are_shown_as_text(operator: Client) -> None:
    timer = factories.timer("<script>alert(1)</script>")
    factories.attempt(timer, "failed", error_title="<img src=x onerror=alert(1)>")
    factories.node("<b>node</b>", state="dead", state_reason="<i>why</i>", ended_at=clock.now())

    page = operator.get("/").text

    for markup in ("<script>alert", "<img src=x", "<b>node", "<i>why"):
        assert markup not in page


def test_what_cannot_be_read_breaks_nothing(viewer: Client) -> None:
    timer = factories.timer("spoilt")
    factories.spoil(timer, "schedule")
    factories.spoil(factories.node("node-a"), "counters")

    page = viewer.get("/").text

    assert "unreadable: " in page
    assert "node-a" in page


def test_the_page_asks_as_often_for_much_as_for_little(viewer: Client) -> None:
    def ask() -> int:
        with CaptureQueriesContext(connection) as asked:
            viewer.get("/", headers=FRAGMENT)
        assert not [query for query in asked if "count(*) from timers_attempt" in query["sql"].lower()]
        return len(asked)

    little = ask()
    group = factories.group()
    for number in range(30):
        timer = factories.timer(in_group=group)
        factories.attempt(timer, ago=number + 1)
        factories.waiting(timer, ago=number + 100)
        factories.node(ended_at=clock.now() - timedelta(minutes=1), state="dead")
        factories.minute(factories.group())

    assert ask() == little <= 16


def test_nothing_on_the_page_needs_an_inline_script_or_style(operator: Client) -> None:
    factories.node()
    factories.minute(factories.group())
    page = operator.get("/").text

    assert " style=" not in page
    assert "<style" not in page
    assert " onclick" not in page
    assert page.count("<script") == page.count("<script src=")


def test_what_a_consumer_ran_names_no_worker_and_the_latest_try_comes_first(viewer: Client) -> None:
    timer = factories.timer("pulled")
    final = UUID(str(factories.attempt(timer, "succeeded", number=2, node="consumer mailer", worker=None).pk))
    factories.attempt(timer, "discarded", number=1, node="consumer mailer", worker=None, id=UUID(int=final.int + 1))

    response = viewer.get("/")

    assert "consumer mailer" in response.text
    assert "/None" not in response.text
    assert [row.outcome for row in response.context["latest"]] == ["succeeded", "discarded"]


def test_nothing_fires_next_while_the_cluster_is_paused(viewer: Client) -> None:
    factories.timer("late", due_in=-60)
    ClusterPause.objects.create(at=clock.now())

    page = viewer.get("/").text

    assert "Nothing fires while the cluster is paused." in page


def test_handler_that_no_living_node_knows_is_a_concern_of_the_overview(viewer: Client) -> None:
    factories.timer(in_group=factories.group(action={"handler": "tests.coming"}), due_in=-60)
    factories.node(handlers=["tests.noop"])
    assert "tests.coming. Their timers wait." in viewer.get("/").text
