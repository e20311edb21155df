"""What a node does at its start for the code and the time zone rules that it was deployed with."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import OperationalError

from tests import factories
from tests.support.handlers import TemporaryHandlers
from timers import conf, declaring, handlers
from timers.declaring import every
from timers.exceptions import InvalidRequest
from timers.models import ClusterEvent, Timer, ZoneRules
from timers.scheduling import schedule_fixed_rate
from timers.testing import VirtualTime
from timers.worker import rollout as rollout_module
from timers.worker.rollout import LOOK_AGAIN_SECONDS, Rollout


@pytest.fixture(autouse=True)
def declared(monkeypatch: pytest.MonkeyPatch, time: VirtualTime, handlers: TemporaryHandlers) -> None:
    """A group, and one timer of it that is declared in code."""
    monkeypatch.setattr(declaring, "_timers", [])
    monkeypatch.setattr(declaring, "_groups", {})
    monkeypatch.setattr(declaring, "_chains", {})
    factories.group("work")
    declare("often")


def declare(name: str) -> None:
    noop = handlers.find("tests.noop")
    assert noop is not None
    every("PT5M", group="work", name=name)(noop.function)


def rollout(**settings: Any) -> Rollout:
    return Rollout("node-a", conf.load({f"TIMERS_{name.upper()}": value for name, value in settings.items()}))


def test_a_node_makes_what_is_declared_once_at_its_start() -> None:
    starting = rollout()
    assert starting.step() == LOOK_AGAIN_SECONDS
    assert [timer.source for timer in Timer.objects.all()] == ["code"]
    assert ClusterEvent.objects.get().node == "node-a"
    declare("later")
    starting.step()
    assert Timer.objects.count() == 1


def test_it_can_be_turned_off() -> None:
    rollout(sync_declared=False).step()
    assert not Timer.objects.exists()


def test_an_incarnation_that_is_not_the_first_leaves_the_declarations() -> None:
    Rollout("node-a", conf.load({}), reconciles=False).step()
    assert not Timer.objects.exists()


@pytest.mark.parametrize("error", [InvalidRequest("group", "is wrong"), RuntimeError("a fault of ours")])
def test_declarations_that_fail_are_logged_and_stop_nothing(
    error: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*given: Any, **more: Any) -> None:
        raise error

    monkeypatch.setattr(rollout_module, "reconcile", fails)
    assert rollout().step() == LOOK_AGAIN_SECONDS
    assert "the declared timers are not reconciled" in caplog.text
    assert ZoneRules.objects.exists()


def test_a_database_that_is_away_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    starting = rollout()
    with monkeypatch.context() as away:
        away.setattr(
            rollout_module, "reconcile", lambda *given, **more: (_ for _ in ()).throw(OperationalError("away"))
        )
        with pytest.raises(OperationalError):
            starting.step()
    starting.step()
    assert Timer.objects.count() == 1


def test_a_conflict_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    schedule_fixed_rate("work", "often", period=60)
    rollout().step()
    assert "declared timer work/often is in conflict" in caplog.text
