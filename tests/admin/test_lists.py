from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests import factories
from tests.admin.pages import MODELS, list_of, page_of
from timers import clock
from timers.admin import bounded, keyset
from timers.models import Timer


def fill(rows: int = 3) -> dict[str, Any]:
    """Rows of every kind; the key of one of each."""
    group = factories.group()
    node = factories.node()
    for number in range(rows):
        timer = factories.timer(in_group=group)
        attempt = factories.attempt(timer, "error", ago=10 + number, error_title="ValueError: no")
        waiting = factories.waiting(timer, ago=40 + number)
        claim = factories.claim(node, timer, executions=2)
        minute = factories.minute(factories.group())
        event = factories.event(node=node.name)
        factories.node(state="dead", ended_at=clock.now())
    keys = (group.pk, timer.pk, attempt.pk, waiting.pk, claim.pk, node.pk, event.pk, minute.pk)
    return dict(zip(MODELS, keys, strict=True))


def spoil_all(keys: dict[str, Any]) -> None:
    """Columns that no face would write, in rows that a face must still show."""
    factories.spoil(Timer.objects.get(pk=keys["timer"]), "payload")
    for column, text in (
        ("schedule", factories.POISON),
        ("schedule", "[" * 5000 + "]" * 5000),
        ("schedule_kind", "lunar"),
        ("time_zone", "Mars/Base"),
        ("action", factories.POISON),
        ("overrides", "[" * 5000 + "]" * 5000),
    ):
        factories.spoil(factories.timer(), column, text)
    with connection.cursor() as cursor:
        for table, columns in (
            ("timers_timer_group", ("action", "retry")),
            ("timers_attempt", ("result",)),
            ("timers_waiting", ("payload",)),
            ("timers_claim", ("details",)),
            ("timers_node", ("counters",)),
        ):
            for column in columns:
                cursor.execute(f"UPDATE {table} SET {column} = %s", (factories.POISON,))


@pytest.mark.parametrize("model", MODELS)
def test_every_list_and_page_is_shown(alice: Client, model: str) -> None:
    keys = fill()

    assert alice.get(list_of(model)).status_code == 200
    assert alice.get(page_of(model, keys[model])).status_code == 200


@pytest.mark.parametrize("model", MODELS)
def test_rows_that_cannot_be_read_break_no_page(alice: Client, model: str) -> None:
    keys = fill()
    spoil_all(keys)

    assert alice.get(list_of(model)).status_code == 200
    assert alice.get(page_of(model, keys[model])).status_code == 200
    if model == "timer":
        assert "unreadable: " in alice.get(list_of("timer")).text
        for key in Timer.objects.values_list("pk", flat=True):
            assert alice.get(page_of("timer", key)).status_code == 200


@pytest.mark.parametrize("model", MODELS)
def test_those_who_may_look_see_it_and_strangers_do_not(bob: Client, charlie: Client, model: str) -> None:
    keys = fill()

    assert bob.get(list_of(model)).status_code == 200
    assert bob.get(page_of(model, keys[model])).status_code == 200
    assert charlie.get(list_of(model)).status_code == 403
    assert charlie.get(page_of(model, keys[model])).status_code == 403


@pytest.mark.parametrize("model", MODELS)
def test_a_list_asks_as_often_for_many_rows_as_for_few(alice: Client, model: str) -> None:
    fill(2)
    with CaptureQueriesContext(connection) as few:
        alice.get(list_of(model))
    fill(20)
    with CaptureQueriesContext(connection) as many:
        alice.get(list_of(model))

    assert len(many) == len(few)
    assert len(many) <= 12


@pytest.mark.parametrize("query", [{}, {"outcome__exact": "failed"}, {"within": "day"}, {"q": "nobody"}, {"group": 1}])
def test_the_ledger_is_never_counted(alice: Client, query: dict[str, Any]) -> None:
    fill()
    with CaptureQueriesContext(connection) as asked:
        assert alice.get(list_of("attempt", **query)).status_code == 200

    assert not [query["sql"] for query in asked if "count(" in query["sql"].lower()]


def test_no_list_reads_the_bodies(alice: Client) -> None:
    fill()
    with CaptureQueriesContext(connection) as asked:
        alice.get(list_of("attempt"))
        alice.get(list_of("waiting"))
        alice.get(list_of("timer"))

    statements = " ".join(query["sql"] for query in asked)
    assert '"log"' not in statements
    assert '"error_detail"' not in statements
    assert '"payload"' not in statements


def test_the_ledger_is_paged_by_its_key_without_gap_or_repeat(alice: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("timers.admin.ledger.AttemptAdmin.list_per_page", 3)
    timer = factories.timer()
    for number in range(8):
        factories.attempt(timer, ago=100 + number)
    seen: list[Any] = []
    address: str | None = list_of("attempt")
    while address:
        change_list = alice.get(address).context["cl"]
        seen += [row.pk for row in change_list.result_list]
        address = change_list.older_link and list_of("attempt") + change_list.older_link

    assert len(seen) == len(set(seen)) == 8
    assert seen == sorted(seen, reverse=True)


def test_a_filtered_page_of_the_ledger_looks_through_a_window_and_offers_the_next(
    alice: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keyset, "WINDOW", 5)
    timer = factories.timer()
    for number in range(12):
        factories.attempt(timer, ago=100 + number)
    rare = factories.attempt(timer, "failed", ago=500)
    found: list[Any] = []
    address: str | None = list_of("attempt", outcome__exact="failed")
    pages = 0
    while address:
        change_list = alice.get(address).context["cl"]
        found += [row.pk for row in change_list.result_list]
        address = change_list.older_link and list_of("attempt") + change_list.older_link
        pages += 1

    assert found == [rare.pk]
    assert pages == 3


def test_a_position_that_is_no_id_is_refused(alice: Client) -> None:
    response = alice.get(list_of("attempt", before="nonsense"))

    assert response.status_code == 302


def test_a_list_counts_to_its_bound_and_says_so(alice: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded, "COUNTED", 4)
    group = factories.group()
    for _ in range(9):
        factories.timer(in_group=group)

    change_list = alice.get(list_of("timer", state__exact="active")).context["cl"]

    assert change_list.count_words == "4+"
    assert change_list.result_count == 4


@pytest.mark.parametrize("how", ["id", "name", "group/name", "beginning"])
def test_a_timer_is_found(alice: Client, how: str) -> None:
    timer = factories.timer("nightly/report", in_group=factories.group("re/ports"))
    factories.timer("other")
    term = {"id": timer.pk, "name": "nightly/report", "group/name": "re/ports/nightly/report", "beginning": "nigh"}[how]

    assert [row.pk for row in alice.get(list_of("timer", q=term)).context["cl"].result_list] == [timer.pk]


@pytest.mark.parametrize("model", ["attempt", "waiting"])
def test_executions_are_found_by_id_timer_and_name(alice: Client, model: str) -> None:
    timer = factories.timer("it", in_group=factories.group("here"))
    row = factories.attempt(timer) if model == "attempt" else factories.waiting(timer)
    other = factories.timer()
    factories.attempt(other)
    factories.waiting(other)

    for term in (row.pk, timer.pk, "it", "here/it"):
        assert [found.pk for found in alice.get(list_of(model, q=term)).context["cl"].result_list] == [row.pk]
    assert not alice.get(list_of(model, q="nobody")).context["cl"].result_list


def test_the_history_of_a_timer_that_is_gone_is_found_by_its_id(alice: Client) -> None:
    timer = factories.timer()
    row = factories.attempt(timer)
    key = timer.pk
    timer.delete()

    assert [found.pk for found in alice.get(list_of("attempt", q=key)).context["cl"].result_list] == [row.pk]
    assert alice.get(page_of("attempt", row.pk)).status_code == 200


def test_a_node_that_cannot_say_so_itself_is_shown_dead(alice: Client) -> None:
    factories.node(beat_ago=60, lease=10)

    assert "timers-dead" in alice.get(list_of("node")).text


def test_history_can_be_added_edited_and_deleted_by_nobody(alice: Client) -> None:
    row = factories.attempt(factories.timer())
    page = page_of("attempt", row.pk)

    assert alice.post(page, {"outcome": "failed"}).status_code == 403
    assert alice.get(page.replace("change", "delete")).status_code == 403
    assert alice.get(list_of("attempt") + "add/").status_code == 403
    assert "delete_selected" not in alice.get(list_of("attempt")).text


@pytest.mark.parametrize("ago", [timedelta(minutes=30), timedelta(days=3)])
def test_the_ledger_is_narrowed_by_time(alice: Client, ago: timedelta) -> None:
    factories.attempt(factories.timer(), ago=ago.total_seconds())

    shown = alice.get(list_of("attempt", within="hour")).context["cl"].result_list

    assert len(shown) == (ago < timedelta(hours=1))


def test_a_timer_of_a_paused_group_says_what_holds_it_up_and_since_when_it_is_due(alice: Client) -> None:
    group = factories.group("orders", state="paused", state_reason="the move")
    timer = factories.timer("late", in_group=group, due_in=-600)
    for page in (list_of("timer"), page_of("timer", timer.pk)):
        text = alice.get(page).text
        assert "its group orders is paused: the move" in text
        assert "due since" in text


def test_what_a_consumer_ran_names_no_worker(alice: Client) -> None:
    timer = factories.timer("pulled")
    row = factories.attempt(timer, node="consumer mailer", worker=None)
    for page in (list_of("attempt"), page_of("attempt", row.pk), page_of("timer", timer.pk)):
        text = alice.get(page).text
        assert "consumer mailer" in text
        assert "None" not in text.partition("<main")[2]


def test_the_tries_of_an_execution_are_listed_with_the_latest_first(alice: Client) -> None:
    timer = factories.timer("tried")
    final = UUID(str(factories.attempt(timer, "succeeded", number=3).pk))
    for number in (1, 2):
        factories.attempt(timer, "error", number=number, id=UUID(int=final.int + number))
    listed = [(row.outcome, row.attempt) for row in alice.get(list_of("attempt")).context["cl"].result_list]
    assert listed == [("succeeded", 3), ("error", 2), ("error", 1)]


def test_timer_whose_handler_no_living_node_knows_says_that_it_waits(alice: Client) -> None:
    timer = factories.timer(in_group=factories.group("orders", action={"handler": "tests.coming"}), due_in=-60)
    factories.node(handlers=["tests.noop"])
    for path in ("/admin/timers/timer/", f"/admin/timers/timer/{timer.id}/change/"):
        assert "no living node knows its handler tests.coming" in alice.get(path).text
