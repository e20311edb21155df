"""Executions over the API: list, read, retry, dismiss, cancel, replay."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from tests import factories
from tests.api.asking import Asking, fields, problem
from timers import clock
from timers.models import TimerGroup
from timers.schedules.instant import format_instant

pytestmark = pytest.mark.django_db

NOWHERE = "00000000-0000-7000-8000-000000000000"
VERBS = ("retry", "dismiss", "cancel", "replay")


@pytest.fixture
def orders(db: None) -> TimerGroup:
    return factories.group("orders", action={"kind": "pull"}, retry={"max_retries": 0})


def claim(api: Asking, name: str = "a", payload: Any = None) -> dict[str, Any]:
    """The message of a timer that is due at once."""
    api.post("/groups/orders/timers", {"kind": "once", "name": name, "after": 0, "payload": payload})
    (message,) = api.post("/groups/orders/claims", {"consumer": "c"})["messages"]
    return dict(message)


def settle(api: Asking, message: dict[str, Any], verb: str, **more: Any) -> str:
    """Commit or discard a message; the address of its execution."""
    path = f"/executions/{message['execution']}"
    api.post(f"{path}/{verb}", {"token": message["token"], **more})
    return path


def states(api: Asking, query: str) -> list[tuple[str, str]]:
    return [(each["timer"], each["state"]) for each in api.get(f"/executions?{query}")["items"]]


@pytest.mark.usefixtures("orders")
def test_executions_are_listed_by_where_they_are(api: Asking) -> None:
    settle(api, claim(api, "done"), "commit")
    settle(api, claim(api, "broken"), "discard", reason="no vendor 7")
    claim(api, "held")
    assert states(api, "state=claimed") == [("held", "claimed")]
    assert states(api, "state=failed") == [("broken", "failed")]
    assert api.get("/executions?state=failed")["items"][0]["changed_at"] is not None
    assert states(api, "state=failed&error_contains=VENDOR") == [("broken", "failed")]
    assert states(api, "state=failed&error_contains=customer") == []
    assert states(api, "state=succeeded") == [("done", "succeeded")]
    assert states(api, "") == [("broken", "failed"), ("done", "succeeded")]
    assert [each["outcome"] for each in api.get("/executions")["items"]] == ["discarded", "succeeded"]
    assert states(api, "timer=done&group=orders") == [("done", "succeeded")]


@pytest.fixture
def orphan(api: Asking, orders: TimerGroup) -> str:
    """The address of an execution with two rows in the ledger, whose group is deleted and its name taken again."""
    path = settle(api, claim(api, "broken"), "discard", reason="no vendor 7")
    api.post(f"{path}/dismiss", {})
    assert api("DELETE", "/groups/orders?force=true").status_code in (200, 204)
    factories.group("orders")
    return path


def test_execution_of_a_deleted_group_is_read_with_its_tries(api: Asking, orphan: str) -> None:
    listed = api.get("/executions")["items"]
    assert [(each["group"], each["timer"]) for each in listed] == [("", "broken")] * 2
    detail = api.get(orphan)
    assert (detail["group"], detail["timer"], detail["state"]) == ("", "broken", "failed")
    assert [each["outcome"] for each in detail["attempts"]] == ["discarded", "failed"]
    assert detail["payload"] is None


def test_execution_of_a_deleted_group_is_refused_in_words(api: Asking, orphan: str) -> None:
    replay = problem(api("POST", f"{orphan}/replay", {}), 404, "not_found")
    assert "has been deleted" in replay["detail"]
    for verb in ("retry", "cancel", "dismiss"):
        refused = problem(api("POST", f"{orphan}/{verb}", {}), 409, "not_allowed_now")
        assert "it has failed already" in refused["detail"] or "does not wait as failed" in refused["detail"]


@pytest.mark.parametrize("verb", [None, *VERBS])
def test_execution_of_a_deleted_group_does_not_exist_for_keys_of_groups(
    orphan: str, new_key: Callable[..., str], verb: str | None
) -> None:
    key = Asking(new_key("admin", groups=["orders"]))
    answer = key("GET", orphan) if verb is None else key("POST", f"{orphan}/{verb}", {})
    assert answer.status_code == 404
    assert key.get("/executions")["items"] == []


def test_history_is_told_newest_first_a_page_at_a_time(api: Asking, orders: TimerGroup) -> None:
    timer = factories.timer("t", in_group=orders)
    made = [str(factories.attempt(timer, ago=ago).id) for ago in (50, 40, 30, 20, 10)]
    told: list[str] = []
    path = "/executions?limit=2"
    while path:
        page = api.get(path)
        told += [each["id"] for each in page["items"]]
        path = page["next"] and f"/executions?limit=2&cursor={page['next']}"
    assert told == made[::-1]
    between = [format_instant(clock.now() - timedelta(seconds=ago)) for ago in (45, 15)]
    inside = api.get(f"/executions?since={between[0]}&until={between[1]}")["items"]
    assert [each["id"] for each in inside] == made[3:0:-1]
    late = api.get("/executions?min_lateness=0.5")["items"]
    assert (late, len(api.get("/executions?min_lateness=0.001")["items"])) == ([], 5)


@pytest.mark.usefixtures("orders")
def test_a_try_that_was_discarded_is_listed_with_where_its_execution_is_now(api: Asking) -> None:
    TimerGroup.objects.update(retry={"max_retries": 3})
    message = claim(api)
    settle(api, message, "discard", delay=600)
    (item,) = api.get("/executions")["items"]
    assert (item["state"], item["outcome"], item["attempt"]) == ("ready", "discarded", 1)


@pytest.mark.usefixtures("orders")
def test_what_was_pulled_late_is_no_lateness_of_the_service(api: Asking) -> None:
    factories.timer("t", in_group=TimerGroup.objects.get(name="orders"), due_in=-3600)
    (message,) = api.post("/groups/orders/claims", {"consumer": "c"})["messages"]
    settle(api, message, "commit")
    (item,) = api.get("/executions")["items"]
    assert (item["lateness"], item["node"], item["worker"]) == (None, "consumer c", None)
    assert api.get("/executions?min_lateness=1")["items"] == []


@pytest.mark.usefixtures("orders")
def test_one_is_told_with_its_payload_and_all_its_tries(api: Asking) -> None:
    path = settle(api, claim(api, payload={"big": 2**70, "b": 1, "a": "ü"}), "discard", reason="no vendor")
    (message,) = api.post(f"{path}/retry") and api.post("/groups/orders/claims", {"consumer": "d"})["messages"]
    settle(api, message, "commit", result=[1])
    said = api.get(path)
    assert (said["state"], said["attempt"], said["result"]) == ("succeeded", 2, [1])
    assert list(said["payload"].items()) == [("big", 2**70), ("b", 1), ("a", "ü")]
    assert [(each["attempt"], each["outcome"], each["reason"]) for each in said["attempts"]] == [
        (1, "discarded", "no vendor"), (2, "succeeded", None),
    ]  # fmt: skip


@pytest.mark.usefixtures("orders")
def test_a_failed_one_is_retried_as_it_was_or_with_a_mended_payload(api: Asking) -> None:
    message = claim(api, payload={"total": 1})
    path = settle(api, message, "discard")
    assert api.post(f"{path}/retry")["state"] == "ready"
    (again,) = api.post("/groups/orders/claims", {"consumer": "c"})["messages"]
    assert (again["execution"], again["envelope"]["NumberOfTry"]) == (message["execution"], 2)
    assert again["envelope"]["Payload"] == {"total": 1}
    settle(api, again, "discard")
    for mended in ({"total": 2}, None):
        api.post(f"{path}/retry", {"payload": mended})
        (again,) = api.post("/groups/orders/claims", {"consumer": "c"})["messages"]
        assert again["envelope"]["Payload"] == mended
        settle(api, again, "discard")


@pytest.mark.usefixtures("orders")
def test_a_failed_one_is_dismissed_and_has_its_final_outcome(api: Asking) -> None:
    path = settle(api, claim(api), "discard", reason="no vendor")
    said = api.post(f"{path}/dismiss", {"reason": "rehearsal"})
    assert (said["state"], said["reason"]) == ("failed", "rehearsal")
    assert states(api, "state=failed") == []
    problem(api("POST", f"{path}/dismiss"), 409, "not_allowed_now")


@pytest.mark.usefixtures("orders")
def test_one_that_waits_is_cancelled_and_its_timer_goes_on(api: Asking) -> None:
    api("PATCH", "/groups/orders", {"retry": {"max_retries": 3, "min_backoff": 600}})
    api.post("/groups/orders/timers", {"kind": "fixed_rate", "name": "a", "period": 3600})
    api.post("/groups/orders/timers/a/fire")
    (message,) = api.post("/groups/orders/claims", {"consumer": "c"})["messages"]
    path = settle(api, message, "discard")
    assert states(api, "state=ready") == [("a", "ready")]
    said = api.post(f"{path}/cancel", {"reason": "order withdrawn"})
    assert (said["state"], said["reason"]) == ("cancelled", "order withdrawn")
    assert api.get("/groups/orders/timers/a")["state"] == "active"


@pytest.mark.usefixtures("orders")
def test_one_that_is_held_is_asked_to_end_and_is_not_shown_again_when_it_is_discarded(api: Asking) -> None:
    api("PATCH", "/groups/orders", {"retry": {"max_retries": 3, "min_backoff": 0}})
    message = claim(api)
    api.post(f"/executions/{message['execution']}/cancel")
    path = settle(api, message, "discard")
    assert api.get(path)["state"] == "cancelled"
    assert api.post("/groups/orders/claims", {"consumer": "c"})["messages"] == []


@pytest.mark.usefixtures("orders")
def test_an_ended_one_is_run_again_as_a_fresh_execution(api: Asking) -> None:
    message = claim(api, payload={"n": 1})
    path = settle(api, message, "commit")
    again = api.post(f"{path}/replay", {"payload": {"n": 2}})["execution"]
    assert again != message["execution"]
    (fresh,) = api.post("/groups/orders/claims", {"consumer": "c"})["messages"]
    assert (fresh["execution"], fresh["envelope"]["Payload"]) == (again, {"n": 2})
    assert (api.get(f"/executions/{again}")["origin"], api.get(path)["state"]) == ("replay", "succeeded")


@pytest.mark.usefixtures("orders")
def test_what_makes_no_sense_now_is_refused_with_the_reason(api: Asking) -> None:
    message = claim(api)
    path = f"/executions/{message['execution']}"
    for verb in ("retry", "dismiss", "replay"):
        problem(api("POST", f"{path}/{verb}"), 409, "not_allowed_now")
    settle(api, message, "commit")
    for verb in ("retry", "dismiss", "cancel"):
        problem(api("POST", f"{path}/{verb}"), 409, "not_allowed_now")


def test_what_is_not_there_or_no_id_is_not_found(api: Asking) -> None:
    for execution in (NOWHERE, "none", "1", NOWHERE + "0"):
        problem(api("GET", f"/executions/{execution}"), 404, "not_found")
        for verb in VERBS:
            problem(api("POST", f"/executions/{execution}/{verb}"), 404, "not_found")


def test_a_question_that_makes_no_sense_names_its_field(api: Asking) -> None:
    for query, field in (
        ("state=broken", "state"), ("since=yesterday", "since"), ("min_lateness=-1", "min_lateness"),
        ("limit=0", "limit"), ("nod=a", "nod"),
    ):  # fmt: skip
        assert fields(problem(api("GET", f"/executions?{query}"), 422, "invalid")) == [field]
    problem(api("GET", "/executions?cursor=abc"), 400, "bad_cursor")


@pytest.mark.usefixtures("orders")
def test_who_does_not_see_the_group_sees_no_execution_of_it(api: Asking, new_key: Callable[..., str]) -> None:
    factories.group("mine")
    path = settle(api, claim(api), "discard")
    other = Asking(new_key("admin", groups=["mine"]))
    for query in ("", "state=failed", "group=orders"):
        assert other.get(f"/executions?{query}")["items"] == []
    problem(other("GET", path), 404, "not_found")
    for verb in VERBS:
        problem(other("POST", f"{path}/{verb}"), 404, "not_found")
    assert states(api, "state=failed") == [("a", "failed")]


def test_what_was_skipped_ahead_of_its_time_hides_nothing_that_has_happened(api: Asking, orders: TimerGroup) -> None:
    done = settle(api, claim(api), "commit").rpartition("/")[2]
    for number in range(3):
        api.post("/groups/orders/timers", {"kind": "cron", "name": f"y{number}", "expression": "@yearly"})
        api.post(f"/groups/orders/timers/y{number}/skip-next")
    for query in ("limit=2", "limit=2&group=orders"):
        assert [each["id"] for each in api.get(f"/executions?{query}")["items"]] == [done]
    assert states(api, "timer=y1") == [("y1", "skipped")]
    assert len(api.get("/executions?until=2999-01-01T00:00:00Z")["items"]) == 4
