"""Decorators that declare timers, above and below @handler."""

from __future__ import annotations

from collections.abc import Iterator
from functools import wraps
from typing import Any

import pytest

from timers import declaring, handlers
from timers.declaring import chain, cron, declarations, declare_chain, declare_group, every, timer
from timers.exceptions import InvalidRequest
from timers.handlers import handler


@pytest.fixture(autouse=True)
def none_declared(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Neither declarations nor handlers of other tests or of the demo."""
    monkeypatch.setattr(declaring, "_timers", [])
    monkeypatch.setattr(declaring, "_groups", {})
    monkeypatch.setattr(declaring, "_chains", {})
    known = set(handlers.names())
    yield
    for name in set(handlers.names()) - known:
        handlers.unregister(name)


def declared() -> list[dict[str, Any]]:
    return [dict(declaration.keywords) for declaration in declarations().timers]


def test_a_timer_is_declared_above_and_below_its_handler() -> None:
    @every("PT5M", group="reports", payload={"full": True})
    @handler("t.above")
    def above(fire: Any) -> None: ...

    @handler("t.below")
    @cron("30 2 * * *", group="reports", name="nightly", time_zone="Europe/Berlin")
    def below(fire: Any) -> None: ...

    assert declared() == [
        {"name": "t.above", "kind": "fixed_rate", "period": "PT5M", "group": "reports", "payload": {"full": True},
         "handler": "t.above"},
        {"name": "nightly", "kind": "cron", "expression": "30 2 * * *", "group": "reports",
         "time_zone": "Europe/Berlin", "handler": "t.below"},
    ]  # fmt: skip
    assert declarations().source == "code"


def test_a_decorated_function_stays_as_it_is() -> None:
    def plain(fire: Any) -> str:
        return "done"

    assert every(5, group="g", handler="t.x")(plain) is plain


def test_one_handler_may_carry_several_declarations_of_any_kind() -> None:
    @timer(kind="once", at="2031-01-01T00:00:00Z", group="reports", name="new-year")
    @timer(kind="fixed_delay", delay=5, group="reports", name="poll")
    @cron("0 12 * * MON", group="reports", name="weekly")
    @handler("t.several")
    async def several(fire: Any) -> None: ...

    assert [(of["kind"], of["name"], of["handler"]) for of in declared()] == [
        ("cron", "weekly", "t.several"), ("fixed_delay", "poll", "t.several"), ("once", "new-year", "t.several"),
    ]  # fmt: skip


def test_another_decorator_between_the_two_is_no_hindrance() -> None:
    def logged(function: Any) -> Any:
        @wraps(function)
        def inner(fire: Any) -> None: ...

        return inner

    @every(5, group="g")
    @logged
    @handler("t.wrapped")
    def wrapped(fire: Any) -> None: ...

    assert [of["handler"] for of in declared()] == ["t.wrapped"]


def test_a_module_that_is_imported_again_declares_the_same() -> None:
    for _ in range(2):

        @every(5, group="g")
        @handler("t.again")
        def again(fire: Any) -> None: ...

    assert len(declared()) == 1


@pytest.mark.parametrize(
    ("declare", "field"),
    [
        (lambda: every(0, group="g"), "period"),
        (lambda: every("5 minutes", group="g"), "period"),
        (lambda: cron("61 * * * *", group="g"), "expression"),
        (lambda: cron("0 0 30 2 *", group="g"), "expression"),
        (lambda: cron("0 0 * * *", group="g", time_zone="Europe/Berln"), "time_zone"),
        (lambda: timer(kind="ones", group="g"), "kind"),
        (lambda: timer(kind="once", group="g", after=5), "after"),
        (lambda: every(5, group="g", colour="red"), "colour"),
        (lambda: every(5, group="g", on_conflict="replace"), "on_conflict"),
        (lambda: every(5, group=""), "group"),
        (lambda: every(5, group="g", name="a\nb"), "name"),
        (lambda: every(5, group="g", payload=object()), "payload"),
    ],
)
def test_a_bad_declaration_is_refused_at_once_and_names_the_function(declare: Any, field: str) -> None:
    def wrong(fire: Any) -> None: ...

    with pytest.raises(InvalidRequest) as refused:
        declare()(wrong)
    assert refused.value.field == field
    assert f"{__name__}.test_a_bad_declaration" in str(refused.value)
    assert declared() == []


def test_a_function_without_a_handler_is_named() -> None:
    @every(5, group="g")
    def forgotten(fire: Any) -> None: ...

    with pytest.raises(InvalidRequest, match=r'put @handler\("..."\) on the function.*forgotten'):
        declarations()


def test_a_function_with_two_handlers_must_say_which() -> None:
    @every(5, group="g")
    @handler("t.one")
    @handler("t.two")
    def twice(fire: Any) -> None: ...

    with pytest.raises(InvalidRequest, match=r"registered as t.one, t.two"):
        declarations()


def test_a_group_is_declared_with_its_fields() -> None:
    declare_group("reports", retry={"max_retries": 3}, priority=5)
    declare_group("reports", retry={"max_retries": 3}, priority=5)
    (group,) = declarations().groups
    assert (group.keywords, group.where) == (
        {"name": "reports", "retry": {"max_retries": 3}, "priority": 5}, __name__,
    )  # fmt: skip


def test_a_bad_group_is_refused_and_names_the_module() -> None:
    declare_group("reports", priority=5)
    for fields, words in [({"prioritty": 5}, "did you mean priority"), ({"priority": 6}, "is declared in")]:
        with pytest.raises(InvalidRequest, match=words) as refused:
            declare_group("reports", **fields)
        assert __name__ in str(refused.value)


ENDS = {"steps": {"ask": {"kind": "approval", "next": "end"}, "end": {"kind": "end"}}}


def test_chain_is_declared_by_a_builder_or_by_json() -> None:
    built = chain("publish").step("build", action="reports.build")
    declare_chain("reports", built)
    declare_chain("reports", ENDS, name="ask")
    (first, second) = declarations().chains
    assert first.keywords == {"group": "reports", "name": "publish", "definition": built.build()}
    assert (second.keywords["name"], second.where) == ("ask", __name__)
    assert set(declarations().definitions()) == {("reports", "publish"), ("reports", "ask")}


def test_chain_that_is_declared_again_by_a_reloaded_module_is_one() -> None:
    for _ in range(2):
        declare_chain("reports", ENDS, name="ask")
    assert len(declarations().chains) == 1


def test_chain_that_makes_no_sense_is_refused_with_its_module_and_place() -> None:
    with pytest.raises(InvalidRequest, match=rf"steps\.ask\.next.* - {__name__}"):
        declare_chain("reports", {"steps": {"ask": {"kind": "approval", "next": "none"}}}, name="ask")
    with pytest.raises(InvalidRequest, match="give the name of the chain"):
        declare_chain("reports", ENDS)
    assert declarations().chains == []


def test_chain_that_is_declared_twice_with_other_steps_is_refused() -> None:
    declare_chain("reports", ENDS, name="ask")
    with pytest.raises(InvalidRequest, match=f"is declared in {__name__} too"):
        declare_chain("reports", chain("ask").approval("sure"))
