"""Idempotency-Key: a request that is repeated is done once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from threading import Barrier, Thread

import pytest
from django.db import connection
from django.db.models import F

from tests import factories
from tests.api.asking import Asking, fields, problem
from timers import conf
from timers.engine.idempotency import forget_answers
from timers.engine.prune import prune
from timers.models import KeptAnswer, Timer

ONCE = {"kind": "once", "name": "a", "after": 3600}
FIRE = "/groups/billing/timers/a/fire"


@pytest.mark.django_db
@pytest.mark.usefixtures("billing")
def test_a_repeat_is_answered_as_the_first_was_and_does_nothing(api: Asking) -> None:
    first = api("POST", "/groups/billing/timers", ONCE, Idempotency_Key="k1")
    again = api("POST", "/groups/billing/timers", ONCE, Idempotency_Key="k1")
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.content == first.content
    assert again.headers["Idempotency-Replayed"] == "true" and "Idempotency-Replayed" not in first.headers
    assert (again.headers["Location"], again.headers["ETag"]) == (first.headers["Location"], first.headers["ETag"])
    assert Timer.objects.count() == 1


@pytest.mark.django_db
@pytest.mark.usefixtures("billing")
def test_a_key_is_for_one_request_of_one_caller(api: Asking, new_key: Callable[..., str]) -> None:
    api.post("/groups/billing/timers", ONCE, Idempotency_Key="k1")
    problem(api("POST", "/groups/billing/timers", {**ONCE, "name": "b"}, Idempotency_Key="k1"), 422, "key_reused")
    problem(api("POST", FIRE, Idempotency_Key="k1"), 422, "key_reused")
    other = Asking(new_key("schedule"))
    assert other("POST", "/groups/billing/timers", {**ONCE, "name": "b"}, Idempotency_Key="k1").status_code == 201


@pytest.mark.django_db
@pytest.mark.usefixtures("billing")
def test_changes_and_cancels_may_be_repeated_too(api: Asking) -> None:
    api.post("/groups/billing/timers", ONCE)
    path = "/groups/billing/timers/a"
    for method, body, key in (("PATCH", {"description": "x"}, "k1"), ("DELETE", None, "k2")):
        first = api(method, path, body, Idempotency_Key=key)
        again = api(method, path, body, Idempotency_Key=key)
        assert (first.status_code, again.status_code) == (200, 200)
        assert again.content == first.content
    assert api.get(path)["version"] == 3
    assert api("DELETE", "/groups/billing?force=true", Idempotency_Key="k3").status_code == 204
    again = api("DELETE", "/groups/billing?force=true", Idempotency_Key="k3")
    assert (again.status_code, again.content, "Content-Type" in again.headers) == (204, b"", False)


@pytest.mark.django_db
@pytest.mark.usefixtures("billing")
def test_what_was_refused_may_be_asked_again_under_the_same_key(api: Asking) -> None:
    problem(api("POST", FIRE, Idempotency_Key="k1"), 404, "not_found")
    assert not KeptAnswer.objects.exists()
    api.post("/groups/billing/timers", ONCE)
    started = api.post(FIRE, Idempotency_Key="k1")
    assert api.post(FIRE, Idempotency_Key="k1") == started


@pytest.mark.django_db
@pytest.mark.usefixtures("billing")
def test_after_a_day_a_key_is_free_again_and_its_answer_forgotten(api: Asking) -> None:
    api.post("/groups/billing/timers", ONCE, Idempotency_Key="k1")
    KeptAnswer.objects.update(created_at=F("created_at") - timedelta(hours=24, seconds=1))
    api.post("/groups/billing/timers", {**ONCE, "name": "b"}, Idempotency_Key="k1")
    assert KeptAnswer.objects.count() == 1
    assert forget_answers() == 0
    KeptAnswer.objects.update(created_at=F("created_at") - timedelta(hours=25))
    prune(conf.current())
    assert not KeptAnswer.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize("key", ["", "a b", "ü", "x" * 201])
def test_a_key_of_another_form_is_refused(key: str, api: Asking) -> None:
    problem(api("POST", "/groups", {"name": "a"}, Idempotency_Key=key), 422, "invalid")


@pytest.mark.django_db
def test_what_would_be_done_again_all_the_same_refuses_a_key_and_does_nothing(api: Asking) -> None:
    made = api.post("/keys", {"name": "sender", "scopes": ["read"], "all_groups": True})
    for method, path, body in (
        ("POST", "/keys", {"name": "other", "scopes": ["read"], "all_groups": True}),
        ("POST", f"/keys/{made['id']}/rotate", None),
        ("PUT", "/secrets/hook", {"kind": "signing"}),
        ("POST", "/handlers/timerbench.noop", {}),
    ):
        said = problem(api(method, path, body, Idempotency_Key="k1"), 422, "invalid")
        assert fields(said) == ["Idempotency-Key"]
        assert "is not taken here" in said["detail"]
    assert api.get(f"/keys/{made['id']}")["version"] == made["version"]
    assert len(api.get("/keys")["items"]) == 2
    assert api.get("/secrets")["items"] == []


@pytest.mark.django_db
@pytest.mark.usefixtures("billing")
def test_what_does_nothing_may_be_asked_with_a_key_too(api: Asking) -> None:
    asked = {**ONCE, "group": "billing"}
    assert len(api.post("/schedules/preview", asked, Idempotency_Key="k1")["fires"]) == 1
    assert not KeptAnswer.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_of_many_at_one_moment_one_does_the_work_and_all_get_its_answer(new_key: Callable[..., str]) -> None:
    factories.group("billing", action={"kind": "python", "handler": "timerbench.noop"})
    key, start, answers = new_key("admin"), Barrier(8), []

    def ask() -> None:
        try:
            start.wait()
            answers.append(Asking(key).post("/groups/billing/timers", ONCE, Idempotency_Key="k1"))
        finally:
            connection.close()

    threads = [Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 8
    assert all(answer == answers[0] for answer in answers)
    assert Timer.objects.count() == 1
