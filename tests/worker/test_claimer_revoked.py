"""What the claimer finds of executions that are asked to end."""

from __future__ import annotations

from tests import factories
from tests.support.handlers import TemporaryHandlers
from tests.worker.claiming import Bench
from timers.engine.fence import revoke, revoked_of
from timers.models import Claim
from timers.scheduling import schedule_fixed_rate
from timers.testing import Stepper


def test_what_it_is_asked_to_end_is_found_by_the_next_poll_where_no_notification_told_it(
    node: Stepper, handlers: TemporaryHandlers
) -> None:
    group = factories.group("work")
    for name in ("a", "b"):
        schedule_fixed_rate("work", name, period=1)
    node.time.advance(1)
    bench = Bench(node)
    bench.step()
    ids = {execution.name: execution.id for execution in bench.held}
    assert bench.revoked == []
    bench.claimer._revoked_read_at = -1000.0
    assert revoke([ids["a"]], group.id) == {ids["a"]}
    bench.step()
    assert bench.revoked == [{ids["a"]}]
    # No oftener than it polls, but again and again: a request may cross a handler that is just beginning.
    bench.step()
    assert bench.revoked == [{ids["a"]}]
    bench.claimer._revoked_read_at = -1000.0
    bench.step()
    assert bench.revoked == [{ids["a"]}] * 2


def test_another_workers_requests_are_none_of_its_own(node: Stepper, handlers: TemporaryHandlers) -> None:
    group = factories.group("work")
    schedule_fixed_rate("work", "a", period=1)
    schedule_fixed_rate("work", "b", period=1)
    node.time.advance(1)
    other = Stepper(node.time)
    (theirs,) = other.claim(limit=1)
    bench = Bench(node)
    bench.step()
    revoke([theirs.id], group.id)
    bench.claimer._revoked_read_at = -1000.0
    bench.step()
    assert bench.revoked == []


def test_what_left_its_claim_is_asked_for_no_more(node: Stepper, handlers: TemporaryHandlers) -> None:
    group = factories.group("work")
    for name in ("a", "b"):
        schedule_fixed_rate("work", name, period=1)
    node.time.advance(1)
    first, second = node.claim()
    for _ in range(3):
        revoke([first.id], group.id)
    assert list(map(str, Claim.objects.get().revoked or [])) == [first.id], "once, however often it is asked"
    node.held = [first]
    node.run()
    node.finish()
    claim = Claim.objects.get()
    assert (list(map(str, claim.executions)), claim.revoked) == ([second.id], None)
    assert revoked_of(node.holder) == set()
