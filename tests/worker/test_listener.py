from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from django.db import connection, transaction

from tests import factories
from tests.support.eventually import eventually
from tests.support.handlers import TemporaryHandlers
from timers.engine.wakeup import tell_revoked
from timers.scheduling import cancel_timer, schedule_fixed_rate, schedule_once
from timers.testing import Stepper
from timers.worker import listener as listener_module
from timers.worker.listener import Listener

pytestmark = pytest.mark.usefixtures("committed")


class Ears:
    """What a listener told."""

    def __init__(self) -> None:
        self.wakes = 0
        self.revoked: set[str] = set()
        self.listener = Listener(self._woken, self._revoke)

    def _woken(self) -> None:
        self.wakes += 1

    def _revoke(self, ids: set[str]) -> None:
        self.revoked |= ids


@pytest.fixture
def ears(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ears]:
    """A listener that listens."""
    monkeypatch.setattr(listener_module, "CHECK_SECONDS", 0.05)
    ears = Ears()
    ears.listener.start()
    eventually(lambda: ears.wakes)
    yield ears
    ears.listener.stop()
    assert ears.listener.thread.join(timeout=10)


def test_beginning_to_listen_is_a_wake_for_what_was_missed_before(ears: Ears) -> None:
    assert ears.wakes == 1


def test_a_timer_that_is_due_soon_wakes_at_its_commit_and_not_before(ears: Ears, handlers: TemporaryHandlers) -> None:
    factories.group("work")
    with transaction.atomic():
        schedule_once("work", "once", after=0.1)
        assert ears.wakes == 1
    eventually(lambda: ears.wakes == 2)


def test_many_wakes_at_once_are_served_together(ears: Ears, handlers: TemporaryHandlers) -> None:
    factories.group("work")
    with transaction.atomic():
        for number in range(50):
            schedule_once("work", f"{number}", after=0.1)
    eventually(lambda: ears.wakes == 2)


def test_a_cancel_revokes_what_is_claimed(ears: Ears, node: Stepper, handlers: TemporaryHandlers) -> None:
    factories.group("work")
    schedule_fixed_rate("work", "rate", period=10)
    node.time.advance(10)
    (execution,) = node.claim()
    cancel_timer("work", "rate")
    eventually(lambda: ears.revoked == {execution.id})


def test_very_many_revocations_arrive_though_one_notification_is_short(ears: Ears) -> None:
    ids = [f"00000000-0000-8000-8000-{number:012}" for number in range(1000)]
    tell_revoked(ids)
    eventually(lambda: ears.revoked == set(ids))


def test_it_listens_again_after_its_connection_was_cut(ears: Ears) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND query LIKE 'LISTEN %%' AND pid <> pg_backend_pid()"
        )
        assert len(cursor.fetchall()) == 1
    # Listening again comes with a wake of its own.
    eventually(lambda: ears.wakes == 2)
    tell_revoked(["x"])
    eventually(lambda: ears.revoked == {"x"})
    assert threading.active_count() > 1


def test_behind_a_pooler_it_ends_in_order_and_says_that_nothing_will_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener_module, "is_pooled", lambda _: True)
    unavailable = threading.Event()
    listener = Listener(lambda: None, lambda _: None, on_unavailable=unavailable.set)
    listener.start()
    assert unavailable.wait(10)
    assert listener.thread.join(10)
    assert listener.thread.end_cause() == "", "the worker is not replaced for it"
    assert listener.thread.busy_since == 0.0
