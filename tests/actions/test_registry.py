"""Kinds of actions: those of the app, and one that another app registers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import pytest

from tests.support.executions import execution
from timers import actions
from timers.actions import action
from timers.actions.action import Action, register
from timers.actions.remote_handler import RemoteHandlerAction
from timers.domain.errors import ErrorCollector
from timers.exceptions import InvalidRequest
from timers.handlers import Fire, Handler
from timers.models import Attempt
from timers.scheduling import ensure_group, schedule_once
from timers.testing import Stepper
from timers.worker.attempts import find_work


@pytest.fixture
def shout_kind() -> Iterator[type[Action]]:
    """A kind that another app brings: it calls no handler by name, but one that it makes itself."""
    before, named = dict(action.KINDS), dict(action._BY_ANY_NAME)

    @register
    @dataclass(frozen=True, slots=True)
    class Shout(Action):
        kind: ClassVar[str] = "shout"
        summary: ClassVar[str] = "return a text in capitals"
        example: ClassVar[Mapping[str, Any]] = {"kind": "shout", "text": "wake up"}

        text: str

        @classmethod
        def read(cls, spec: Mapping[str, Any], mistakes: ErrorCollector) -> Self | None:
            mistakes.refuse_unknown(spec, ("kind", "text"), within="action.", where="for shout")
            if not isinstance(spec.get("text"), str):
                mistakes.add(InvalidRequest("action.text", "must be text", given=spec.get("text")))
                return None
            return cls(spec["text"])

        def to_spec(self) -> dict[str, Any]:
            return {"kind": self.kind, "text": self.text}

        @property
        def name(self) -> str:
            return self.kind

        def resolve(self) -> Handler:
            def shout(fire: Fire) -> str:
                return self.text.upper()

            return Handler("shout", shout, timeout=None, is_async=False)

    yield Shout
    for registry, kept in ((action.KINDS, before), (action._BY_ANY_NAME, named)):
        registry.clear()
        registry.update(kept)
    actions.parse_text.cache_clear()


def test_two_kinds_of_one_name_are_refused() -> None:
    class Second(Action):
        kind = "second"
        other_names = ("entry",)

    with pytest.raises(ValueError, match="entry"):
        register(Second)
    assert action.kind_named("second") is None
    assert action.kind_named("entry") is RemoteHandlerAction


def test_kind_is_read_under_its_earlier_name_and_written_under_its_present_one() -> None:
    read = actions.parse({"kind": "entry", "name": "vendors.process"})
    assert isinstance(read, RemoteHandlerAction)
    assert read.to_spec() == {"kind": "remote_handler", "name": "vendors.process"}


def test_kind_that_gives_a_worker_nothing_to_run_fails_its_own_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    read = actions.parse({"handler": "vendors.process"})
    monkeypatch.setattr(type(read), "resolve", lambda _: print)
    assert find_work(execution(action=read)) == "actions of kind python return nothing that a worker can run"


@pytest.mark.parametrize("kind", actions.KINDS.values())
def test_example_of_each_kind_is_read_and_written_unchanged(kind: type[Action]) -> None:
    read = actions.parse(kind.example)
    assert isinstance(read, kind)
    assert kind.example.items() <= read.to_spec().items()


def test_kind_of_another_app_is_checked_stored_and_run(shout_kind: type[Action], timers_node: Stepper) -> None:
    ensure_group("calls")
    with pytest.raises(InvalidRequest, match=r"action\.text: must be text"):
        schedule_once("calls", "wrong", after=0, action={"kind": "shout"})
    timer = schedule_once("calls", "wake", after=0, action=dict(shout_kind.example))
    assert timer.action == shout_kind.example
    timers_node.step()
    assert Attempt.objects.get().result == "WAKE UP"
