"""One verb for many orders over the API: each by itself, resumable with its key, errors reported for their orders."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from tests import factories
from tests.api.asking import Asking, fields, problem
from tests.support.sessions import OtherSession, in_threads
from timers.api.many_orders import ManyOrdersWork
from timers.chains import create_chain
from timers.control.chains.many_checks import VERBS
from timers.control.chains.orders import suspend_order
from timers.exceptions import NotAllowedNow
from timers.models import AuditEntry, Chain, ChainOrder, KeptAnswer, TimerGroup
from timers.security.caller import Caller

PATH = "/orders/by-filter"
SUSPEND = {"verb": "suspend", "filter": {"chain": "main"}, "reason": "stock-taking"}
ENDS = {"steps": {"ask": {"kind": "approval", "next": "end"}, "end": {"kind": "end"}}}


@pytest.fixture
def main(billing: TimerGroup) -> Chain:
    return create_chain("billing", "main", ENDS)


def three(main: Chain) -> list[str]:
    return [str(factories.order(main, "ask", "awaiting", ago=each).pk) for each in (1, 2, 3)]


def states() -> list[str]:
    return list(ChainOrder.objects.order_by("-id").values_list("state", flat=True))


@pytest.mark.django_db
def test_repeat_of_an_interrupted_request_continues_with_what_is_left(
    api: Asking, main: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders = three(main)

    def dies_at_the_second(order: str, **arguments: Any) -> object:
        if order == orders[1]:
            raise RuntimeError("the process died")
        return suspend_order(order, **arguments)

    monkeypatch.setitem(VERBS, "suspend", dies_at_the_second)
    assert api("POST", PATH, SUSPEND, Idempotency_Key="k1").status_code == 500
    assert states() == ["suspended", "awaiting", "awaiting"]
    # The filter matches another order by now, which the request did not mean.
    factories.order(main, "ask", "awaiting", ago=0)
    monkeypatch.setitem(VERBS, "suspend", suspend_order)
    told = api.post(PATH, SUSPEND, Idempotency_Key="k1")
    assert told == {"done": orders, "refused": [], "next": None}
    assert states() == ["awaiting", *["suspended"] * 3]
    assert AuditEntry.objects.filter(verb="order.suspend").count() == 3
    again = api("POST", PATH, SUSPEND, Idempotency_Key="k1")
    assert (again.headers["Idempotency-Replayed"], again.json()) == ("true", told)


@pytest.mark.django_db
def test_refusals_before_an_interruption_are_in_the_answer_of_the_repeat(
    api: Asking, main: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders = three(main)
    ChainOrder.objects.filter(id=orders[0]).update(state="failed")
    asked = {"verb": "suspend", "filter": {"chain": "main"}}

    def dies_at_the_last(order: str, **arguments: Any) -> object:
        if order == orders[2]:
            raise RuntimeError("the process died")
        return suspend_order(order, **arguments)

    monkeypatch.setitem(VERBS, "suspend", dies_at_the_last)
    assert api("POST", PATH, asked, Idempotency_Key="k1").status_code == 500
    monkeypatch.setitem(VERBS, "suspend", suspend_order)
    told = api.post(PATH, asked, Idempotency_Key="k1")
    assert told["done"] == orders[1:]
    assert told["refused"] == [{"order": orders[0], "message": "order: is failed and cannot be suspended."}]


@pytest.mark.django_db
def test_key_of_an_interrupted_request_is_refused_with_another_request(
    api: Asking, main: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    three(main)

    def dies(order: str, **_: Any) -> None:
        raise RuntimeError(order)

    monkeypatch.setitem(VERBS, "suspend", dies)
    assert api("POST", PATH, SUSPEND, Idempotency_Key="k1").status_code == 500
    problem(api("POST", PATH, {**SUSPEND, "limit": 1}, Idempotency_Key="k1"), 422, "key_reused")
    problem(api("POST", "/groups/billing/chains/main/stop", {}, Idempotency_Key="k1"), 422, "key_reused")


@pytest.mark.django_db
def test_interrupted_request_is_not_continued_with_other_groups(main: Chain) -> None:
    orders = three(main)
    seen = ({"billing"}, {"billing"}, {"other"})
    callers = [Caller("key k", 1, 1, frozenset({"operate"}), frozenset(groups)) for groups in seen]
    first, repeat, later = (ManyOrdersWork(each, SUSPEND) for each in callers)
    plan = first.begin()
    assert plan["orders"] == orders
    assert repeat.go_on(plan, {}) == {"begun": 1, "refused": []}
    with pytest.raises(NotAllowedNow, match="Send a new request"):
        later.go_on(plan, {})


@pytest.mark.django_db
def test_request_with_a_key_that_is_invalid_leaves_the_key_unused(api: Asking, main: Chain) -> None:
    problem(api("POST", PATH, {**SUSPEND, "reason": 5}, Idempotency_Key="k1"), 422, "invalid")
    assert not KeptAnswer.objects.exists()


@pytest.mark.django_db
def test_request_with_a_key_that_matches_no_order_is_answered_too(api: Asking, main: Chain) -> None:
    nothing = {"done": [], "refused": [], "next": None}
    assert api.post(PATH, SUSPEND, Idempotency_Key="k1") == api.post(PATH, SUSPEND, Idempotency_Key="k1") == nothing


@pytest.mark.django_db
@pytest.mark.parametrize("key", [{}, {"Idempotency_Key": "k1"}])
def test_limit_of_a_call_is_kept_and_the_next_call_continues(api: Asking, main: Chain, key: dict[str, str]) -> None:
    orders = three(main)
    first = api.post(PATH, {**SUSPEND, "limit": 2}, **key)
    assert (first["done"], first["next"]) == (orders[:2], orders[1])
    rest = api.post(PATH, {**SUSPEND, "limit": 2, "before": first["next"]})
    assert (rest["done"], rest["next"]) == (orders[2:], None)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("key", [{}, {"Idempotency_Key": "k1"}])
def test_locks_of_an_order_are_released_before_the_next_one_is_handled(
    new_key: Callable[..., str], key: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    factories.group("billing")
    orders = three(create_chain("billing", "main", ENDS))
    free: list[str] = []

    def lock(order: str) -> None:
        free.append(str(ChainOrder.objects.select_for_update(nowait=True).get(id=order).id))

    with OtherSession() as other:

        def look(order: str, **arguments: Any) -> object:
            if order != orders[0]:
                other.begin()
                other.run(lambda: lock(orders[0]))
                other.rollback()
            return suspend_order(order, **arguments)

        monkeypatch.setitem(VERBS, "suspend", look)
        assert Asking(new_key("admin")).post(PATH, SUSPEND, **key)["done"] == orders
    assert free == [orders[0]] * 2


@pytest.mark.django_db(transaction=True)
def test_two_requests_with_one_key_at_once_handle_each_order_once(new_key: Callable[..., str]) -> None:
    factories.group("billing")
    orders = three(create_chain("billing", "main", ENDS))
    key = new_key("admin")
    answers = in_threads(4, lambda _: Asking(key).post(PATH, SUSPEND, Idempotency_Key="k1"))
    assert answers == [{"done": orders, "refused": [], "next": None}] * 4
    assert AuditEntry.objects.filter(verb="order.suspend").count() == 3


@pytest.mark.django_db
@pytest.mark.parametrize("key", [{}, {"Idempotency_Key": "k1"}])
def test_database_error_of_one_order_is_reported_for_that_order(
    api: Asking, main: Chain, key: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    orders = three(main)

    def fails_once(order: str, **arguments: Any) -> object:
        if order == orders[1]:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1 / 0")
        return suspend_order(order, **arguments)

    monkeypatch.setitem(VERBS, "suspend", fails_once)
    told = api.post(PATH, SUSPEND, **key)
    assert told["done"] == [orders[0], orders[2]]
    (refused,) = told["refused"]
    assert refused["order"] == orders[1]
    assert refused["message"].startswith("database error: division by zero.")


@pytest.mark.django_db
def test_order_that_cannot_be_read_does_not_stop_the_others(
    api: Asking, main: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders = three(main)

    def unreadable(order: str, **arguments: Any) -> object:
        if order == orders[0]:
            raise KeyError("step")
        return suspend_order(order, **arguments)

    monkeypatch.setitem(VERBS, "suspend", unreadable)
    told = api.post(PATH, SUSPEND)
    assert told["done"] == orders[1:]
    assert told["refused"] == [{"order": orders[0], "message": "the order cannot be read: 'step'"}]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"filter": "main"}, "filter"), ({"filter": ["main"]}, "filter"), ({"filter": None}, "filter"),
        ({"filter": {}}, "filter"), ({"filter": {"chain": 5}}, "filter.chain"),
        ({"filter": {"parent": "x"}}, "filter.parent"), ({"filter": {"chain": "main", "state": "x"}}, "filter.state"),
        ({"filter": {"chain": "main", "colour": "red"}}, "filter.colour"), ({"reason": 5}, "reason"),
        ({"reason": None}, "reason"), ({"reason": {"a": 1}}, "reason"), ({"limit": "5"}, "limit"),
        ({"before": 5}, "before"), ({"verb": ["suspend"]}, "verb"), ({"verb": "move", "to": 5}, "to"),
        ({"verb": "move"}, "to"), ({"verb": "signal", "name": None}, "name"), ({"verb": "resume", "at": 5}, "at"),
        ({"verb": "resume", "variables": [1]}, "variables"), ({"verb": "resume", "version": "2"}, "version"),
        ({"verb": "prioritize", "priority": "high"}, "priority"), ({"verb": "prioritize", "priority": 99}, "priority"),
    ],
)  # fmt: skip
def test_invalid_field_is_named_and_nothing_is_changed(
    api: Asking, main: Chain, body: dict[str, Any], named: str
) -> None:
    three(main)
    asked = {"verb": "suspend", "filter": {"chain": "main"}, **body}
    assert fields(problem(api("POST", PATH, asked), 422, "invalid")) == [named]
    assert states() == ["awaiting"] * 3
