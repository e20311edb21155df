"""When claims must be kept, and when they are over as far as their consumer knows; no time passes."""

from __future__ import annotations

from timers_client.leases import Leases


def test_a_claim_is_kept_at_each_third_of_its_lease_until_its_last_message_is_settled() -> None:
    leases = Leases(30)
    assert leases.next_at() is None
    leases.hold("t1", {"a", "b"}, asked_at=100, came_at=100)
    leases.hold("t2", {"c"}, asked_at=103, came_at=103)
    assert (leases.next_at(), leases.due(109)) == (110, [])
    ((token, _),) = leases.due(110)
    assert (token, leases.next_at()) == ("t1", 113)
    leases.let_go("t1", "a")
    leases.let_go("t2", "c")
    leases.let_go("t2", "unknown")
    assert leases.next_at() == 120
    assert leases.pairs() == [("t1", "b")]
    leases.let_go("t1", "b")
    assert leases.next_at() is None


def test_a_claim_is_over_when_it_could_not_be_kept_in_time() -> None:
    leases = Leases(30)
    leases.hold("t", {"a"}, asked_at=100, came_at=101)
    assert not leases.is_over("t", 130)
    assert leases.is_over("t", 131)
    leases.kept("t", 120)
    assert not leases.is_over("t", 149)
    assert leases.is_over("t", 150)
    assert leases.is_over("unknown", 0)


def test_a_claim_that_was_long_waited_for_is_kept_at_once() -> None:
    """It may have been made soon after it was asked for."""
    leases = Leases(15)
    leases.hold("t", {"a"}, asked_at=100, came_at=108)
    assert [token for token, _ in leases.due(108)] == ["t"]
    assert not leases.is_over("t", 122)


def test_after_a_refusal_the_others_of_the_claim_are_asked_about_at_once() -> None:
    leases = Leases(30)
    leases.hold("t", {"a", "b"}, asked_at=100, came_at=100)
    ((_, first),) = leases.due(110)
    leases.let_go("t", first)
    leases.hasten("t", 110)
    ((_, second),) = leases.due(110)
    assert {first, second} == {"a", "b"}
