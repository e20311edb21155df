"""Locks that chains share: who holds them and who waits."""

from __future__ import annotations

import pytest

from tests import factories
from timers.chains import create_chain, find_locks, get_lock, set_lock
from timers.exceptions import TimerNotFound
from timers.insights import locks
from timers.insights.locks import counted
from timers.models import Chain, ChainLock

pytestmark = pytest.mark.django_db


@pytest.fixture
def chain() -> Chain:
    factories.group("sales")
    set_lock("sales", "printer", 2)
    set_lock("sales", "idle", 1)
    return create_chain(
        "sales", "main", {"steps": {"ask": {"kind": "approval", "next": "end"}, "end": {"kind": "end"}}}
    )


def test_lock_tells_who_holds_it_and_who_waits_next(chain: Chain) -> None:
    scope = f"lock:{chain.group_id}/printer"
    held, later, sooner = (factories.order(chain, "ask", ago=ago) for ago in (90, 20, 30))
    factories.held(held, scope, factories.node("alpha"))
    factories.blocked(later, scope)
    factories.blocked(sooner, scope)
    detail = get_lock("sales", "printer")
    assert (detail.lock.capacity, detail.lock.held, str(detail.lock.waiting)) == (2, 1, "2")
    assert [(each.order, each.chain, each.step, each.node) for each in detail.holders] == [
        (held.pk, "main", "ask", "alpha")
    ]
    assert [each.order for each in detail.waiters] == [sooner.pk, later.pk]
    assert [(each.name, each.held) for each in find_locks("sales")] == [("idle", 0), ("printer", 1)]


def test_hold_of_a_claim_that_is_gone_does_not_count(chain: Chain) -> None:
    factories.held(factories.order(chain, "ask"), f"lock:{chain.group_id}/printer", factories.node()).delete()
    detail = get_lock("sales", "printer")
    assert (detail.lock.held, detail.holders) == (0, [])


def test_waiting_orders_are_counted_up_to_a_bound(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "CAP", 3)
    assert str(counted(3)) == "3"
    assert str(counted(4)) == "3+"


def test_group_or_lock_that_does_not_exist_is_not_found(chain: Chain) -> None:
    with pytest.raises(TimerNotFound, match="no group"):
        find_locks("none")
    with pytest.raises(TimerNotFound, match="no lock"):
        get_lock("sales", "none")
    assert ChainLock.objects.count() == 2
