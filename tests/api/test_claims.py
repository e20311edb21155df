"""Consumers over the API: claim, commit, discard, extend, and waiting for what is not there yet."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import timedelta
from threading import Thread
from typing import Any
from unittest.mock import patch

import pytest
from django.db import connection
from django.db.models import F

from tests import factories
from tests.api.asking import Asking, fields, problem
from timers.api import claims
from timers.api.claims import _waiting_places
from timers.models import Attempt, Claim, KeptAnswer, Timer, TimerGroup, Waiting
from timers.scheduling import pause_group

CLAIMS = "/groups/orders/claims"


@pytest.fixture
def orders(db: None) -> TimerGroup:
    return factories.group("orders", action={"kind": "pull"}, retry={"max_retries": 5, "min_backoff": 0})


def schedule(api: Asking, count: int = 1, after: float = 0) -> None:
    api.post(
        "/groups/orders/timers/bulk",
        [{"kind": "once", "name": f"t{n}", "after": after, "payload": {"n": n, "big": 2**70}} for n in range(count)],
    )


def claim(api: Asking, **body: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = api.post(CLAIMS, {"consumer": "c", **body})["messages"]
    return found


@pytest.mark.django_db
@pytest.mark.usefixtures("orders")
def test_what_is_due_is_claimed_with_its_envelope_and_committed(api: Asking) -> None:
    schedule(api, 3)
    messages = claim(api, limit=2)
    assert len(messages) == 2
    envelope = messages[0]["envelope"]
    assert list(envelope)[:6] == ["Group", "Name", "NumberOfTry", "FireTime", "ScheduledFireTime", "Payload"]
    assert (envelope["Group"], envelope["Name"], envelope["NumberOfTry"]) == ("orders", "t0", 1)
    assert envelope["Payload"] == {"n": 0, "big": 2**70}
    body = {"token": messages[0]["token"], "result": {"sent": True}}
    done = api.post(f"/executions/{messages[0]['execution']}/commit", body)
    assert done == {"execution": messages[0]["execution"], "outcome": "succeeded"}
    assert api.post(f"/executions/{messages[0]['execution']}/commit", body) == done
    assert api.get(f"/executions/{messages[0]['execution']}")["result"] == {"sent": True}


@pytest.mark.django_db
@pytest.mark.parametrize("key", [{}, {"Idempotency_Key": "k"}], ids=["without a key", "with a key"])
def test_a_claim_that_finds_no_message_keeps_what_it_skipped(api: Asking, key: dict[str, str]) -> None:
    group = factories.group("orders", action={"kind": "pull"}, max_lateness=1)
    late = factories.timer("e1", in_group=group, due_in=-3, schedule_kind="once", schedule={"at": "2020-01-01T00:00Z"})
    assert api.post(CLAIMS, {"consumer": "c", "limit": 1}, **key)["messages"] == []
    assert Attempt.objects.get(timer_id=late.id).reason == "expired"
    api.post("/groups/orders/timers", {"kind": "once", "name": "e2", "after": 0})
    (message,) = api.post(CLAIMS, {"consumer": "c", "limit": 1}, **key)["messages"]
    assert message["envelope"]["Name"] == "e2"


@pytest.mark.django_db
@pytest.mark.usefixtures("orders")
def test_a_key_stays_free_until_there_is_a_message_and_then_belongs_to_it(api: Asking) -> None:
    key = {"Idempotency_Key": "k"}
    assert api.post(CLAIMS, {"consumer": "c"}, **key)["messages"] == []
    assert not KeptAnswer.objects.exists()
    schedule(api, 2)
    first = api.post(CLAIMS, {"consumer": "c"}, **key)
    assert len(first["messages"]) == 1
    assert api.post(CLAIMS, {"consumer": "c"}, **key) == first


@pytest.mark.django_db
@pytest.mark.usefixtures("orders")
def test_a_waiting_claim_with_a_key_skips_what_has_expired_and_gets_what_comes(api: Asking) -> None:
    TimerGroup.objects.update(max_lateness=1)
    schedule(api)
    Timer.objects.update(next_fire_at=F("next_fire_at") - timedelta(seconds=5))
    api.post("/groups/orders/timers", {"kind": "once", "name": "next", "after": 0.3})
    (message,) = api.post(CLAIMS, {"consumer": "c", "wait": 20}, Idempotency_Key="k")["messages"]
    assert message["envelope"]["Name"] == "next"


@pytest.mark.django_db
@pytest.mark.usefixtures("orders")
def test_a_claim_with_a_key_keeps_the_failure_of_what_cannot_be_read(api: Asking) -> None:
    schedule(api)
    factories.spoil(Timer.objects.get(), "payload")
    assert api.post(CLAIMS, {"consumer": "c"}, Idempotency_Key="k")["messages"] == []
    assert Waiting.objects.get().state == "failed"
    assert not Claim.objects.exists()


@pytest.mark.django_db
@pytest.mark.usefixtures("orders")
def test_a_claim_with_a_key_keeps_the_rescue_of_what_another_let_lapse(api: Asking) -> None:
    schedule(api)
    claim(api)
    Claim.objects.update(expires_at=F("expires_at") - timedelta(hours=1))
    (message,) = api.post(CLAIMS, {"consumer": "d"}, Idempotency_Key="k")["messages"]
    assert message["envelope"]["NumberOfTry"] == 2
    assert Attempt.objects.get().outcome == "lost"


@pytest.mark.django_db
@pytest.mark.usefixtures("orders")
def test_what_is_discarded_is_shown_again_and_counts(api: Asking) -> None:
    schedule(api)
    for number_of_try in (1, 2, 3):
        (message,) = claim(api)
        assert message["envelope"]["NumberOfTry"] == number_of_try
        said = api.post(f"/executions/{message['execution']}/discard", {"token": message["token"], "delay": 0})
        assert said["outcome"] == "discarded"
    (message,) = claim(api)
    stale = problem(api("POST", f"/executions/{message['execution']}/commit", {"token": "x"}), 422, "invalid")
    assert fields(stale) == ["token"]


@pytest.mark.django_db
@pytest.mark.usefixtures("orders")
def test_a_stale_token_and_another_word_for_the_same_claim_are_refused(api: Asking) -> None:
    schedule(api)
    (first,) = claim(api)
    path = f"/executions/{first['execution']}"
    api.post(f"{path}/discard", {"token": first["token"], "delay": 0})
    (second,) = claim(api)
    problem(api("POST", f"{path}/commit", {"token": first["token"]}), 409, "stale_token")
    problem(api("POST", f"{path}/extend", {"token": first["token"]}), 409, "stale_token")
    api.post(f"{path}/commit", {"token": second["token"]})
    problem(api("POST", f"{path}/discard", {"token": second["token"]}), 409, "stale_token")


@pytest.mark.django_db
@pytest.mark.usefixtures("orders")
def test_a_claim_is_kept_longer(api: Asking) -> None:
    schedule(api)
    (message,) = claim(api, lease=1)
    said = api.post(f"/executions/{message['execution']}/extend", {"token": message["token"], "lease": 600})
    assert said["expires_at"] > message["expires_at"]


@pytest.mark.django_db
@pytest.mark.usefixtures("orders")
def test_many_are_committed_at_once_and_what_is_wrong_with_one_is_its_own(api: Asking) -> None:
    schedule(api, 3)
    messages = claim(api, limit=3)
    items = [{"execution": each["execution"], "token": each["token"]} for each in messages]
    items[1]["token"] = "x"
    items.append({"execution": "none", "token": "x"})
    results = api.post("/claims/commit", {"items": items})["results"]
    assert [each.get("outcome") for each in results] == ["succeeded", None, "succeeded", None]
    assert [each["errors"][0]["field"] for each in results if "errors" in each] == ["token", "execution"]


@pytest.mark.django_db
def test_a_claim_that_is_repeated_under_its_key_is_the_same_claim(api: Asking, orders: TimerGroup) -> None:
    empty = api("POST", CLAIMS, {"consumer": "c"}, Idempotency_Key="k0")
    assert json.loads(empty.content) == {"messages": []}
    schedule(api, 4)
    first = api.post(CLAIMS, {"consumer": "c", "limit": 2}, Idempotency_Key="k1")
    assert len(first["messages"]) == 2
    assert api.post(CLAIMS, {"consumer": "c", "limit": 2}, Idempotency_Key="k1") == first
    assert len(api.post(CLAIMS, {"consumer": "c"}, Idempotency_Key="k0")["messages"]) == 1
    assert Claim.objects.count() == 2


@pytest.mark.django_db
def test_what_no_consumer_may_claim_is_refused_with_the_reason(api: Asking, orders: TimerGroup) -> None:
    factories.group("work", action={"kind": "python", "handler": "timerbench.noop"})
    problem(api("POST", "/groups/work/claims", {"consumer": "c"}), 409, "not_allowed_now")
    problem(api("POST", "/groups/none/claims", {"consumer": "c"}), 404, "not_found")
    for wrong in ({"limit": 0}, {"limit": 1001}, {"lease": 0.5}, {"wait": 21}, {"wait": -1}, {"consumer": ""}):
        assert fields(problem(api("POST", CLAIMS, {"consumer": "c", **wrong}), 422, "invalid")) == list(wrong)
    schedule(api)
    pause_group("orders")
    assert claim(api) == []


@pytest.mark.django_db
@pytest.mark.usefixtures("orders")
def test_only_who_sees_the_group_can_settle_its_executions(api: Asking, new_key: Callable[..., str]) -> None:
    factories.group("mine")
    schedule(api)
    (message,) = claim(api)
    other = Asking(new_key("consume", groups=["mine"]))
    problem(other("POST", f"/executions/{message['execution']}/commit", {"token": message["token"]}), 404, "not_found")
    item = {"execution": message["execution"], "token": message["token"]}
    (result,) = other.post("/claims/commit", {"items": [item]})["results"]
    assert "outcome" not in result


def in_threads(count: int, ask: Callable[[], Any]) -> list[tuple[float, Any]]:
    """Ask from so many threads at once; how long each took, and its answer."""
    answers: list[tuple[float, Any]] = []

    def timed() -> None:
        began = time.monotonic()
        try:
            answer = ask()
            answers.append((time.monotonic() - began, answer))
        finally:
            connection.close()

    threads = [Thread(target=timed) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


@pytest.mark.django_db(transaction=True)
def test_who_waits_gets_what_comes_due_when_it_is_due(new_key: Callable[..., str]) -> None:
    factories.group("orders", action={"kind": "pull"})
    api = Asking(new_key("admin"))
    schedule(api, 1, after=0.6)
    ((took, messages),) = in_threads(1, lambda: claim(api, wait=15))
    assert len(messages) == 1
    envelope = messages[0]["envelope"]
    assert envelope["FireTime"] >= envelope["ScheduledFireTime"]
    assert took < 10


@pytest.mark.django_db
@pytest.mark.parametrize("why", ["paused", "another subscription"])
def test_who_waits_beside_what_is_due_but_not_for_them_looks_only_now_and_then(why: str, api: Asking) -> None:
    factories.group("beside", action={"kind": "pull"})
    asked: dict[str, Any] = {"consumer": "c", "wait": 1}
    if why == "another subscription":
        for name in "ab":
            body = {"name": name, "mode": "broadcast", "action": {"kind": "pull"}}
            api.post("/groups/beside/subscriptions", body)
        asked["subscription"] = "a"
    api.post("/groups/beside/timers", {"kind": "once", "name": "x", "after": 0})
    if why == "paused":
        api.post("/groups/beside/pause", {})
    else:
        assert len(api.post("/groups/beside/claims", asked)["messages"]) == 1
    with patch("timers.api.claims.claim", wraps=claims.claim) as looked:
        assert api.post("/groups/beside/claims", asked)["messages"] == []
    assert looked.call_count <= 12


@pytest.mark.django_db(transaction=True)
def test_no_more_wait_at_once_than_may(new_key: Callable[..., str], settings: Any) -> None:
    settings.TIMERS = {**settings.TIMERS, "API_WAITING": 2}
    _waiting_places.cache_clear()
    try:
        factories.group("orders", action={"kind": "pull"})
        key = new_key("admin")
        answers = in_threads(5, lambda: Asking(key)("POST", CLAIMS, {"consumer": "c", "wait": 1.5}))
        waited = [answer for took, answer in answers if took >= 1.5]
        at_once = [answer for took, answer in answers if took < 1.5]
        assert (len(waited), len(at_once)) == (2, 3)
        assert all(answer.headers["Retry-After"] == "1" for answer in at_once)
        assert all("Retry-After" not in answer.headers for answer in waited)
    finally:
        _waiting_places.cache_clear()


def test_leases_waits_and_delays_may_be_iso_durations(api: Asking) -> None:
    api.post("/groups", {"name": "iso", "action": {"kind": "pull"}, "attempt_timeout": "PT1M", "min_interval": "PT5S"})
    group = api.get("/groups/iso")
    assert (group["attempt_timeout"], group["min_interval"]) == (60, 5)
    api.post("/groups/iso/timers", {"kind": "once", "name": "a", "after": "PT0S"})
    (message,) = api.post("/groups/iso/claims", {"consumer": "c", "lease": "PT1M", "wait": "PT0.1S"})["messages"]
    execution = f"/executions/{message['execution']}"
    extended = api.post(f"{execution}/extend", {"token": message["token"], "lease": "PT1H"})
    assert extended["expires_at"] > message["expires_at"]
    said = api.post(f"{execution}/discard", {"token": message["token"], "delay": "PT1H"})
    assert said["outcome"] == "discarded"
    assert api.post("/groups/iso/timers/a/fire", {"delay": "PT1H"})["execution"]
