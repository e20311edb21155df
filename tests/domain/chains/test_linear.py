"""Orders walk through actions, choices and ends; errors, retries, stops and skips on the way."""

from __future__ import annotations

from typing import Any

import pytest

from tests.domain.chains.engine import END, Engine, action, later
from timers.domain.chains import Finish, Order, StepStates, advance, events, parse_chain
from timers.exceptions import NotAllowedNow, SpecError

THREE = {"steps": {"a": action("b"), "b": action("c"), "c": action("z"), "z": END}}


def engine(**steps: Any) -> Engine:
    return Engine(main={"steps": {**steps, "z": END}})


def finish(at: Engine, order_id: int) -> Finish | None:
    moves = at.rows[order_id].moves
    return moves.finish if moves else None


def test_order_walks_through_its_steps_and_succeeds() -> None:
    at = Engine(main=THREE)
    order = at.start()
    places = [at.place(order)]

    for _ in range(3):
        at.run(order)
        places.append(at.place(order))

    assert places == [("a", "ready"), ("b", "ready"), ("c", "ready"), ("z", "ended")]
    assert finish(at, order) == Finish("succeeded")
    assert at.order(order).visits == {"a": 1, "b": 1, "c": 1, "z": 1}


def test_results_that_are_asked_for_become_variables() -> None:
    at = engine(a=action("b", results=["total", "a/b"]), b=action("z", results={"first": "/lines/0/sku", "all": ""}))
    order = at.start(kept=1)

    moves_before = at.run(order, {"total": 5, "a/b": 1, "other": 2})
    assert moves_before.variables == {"kept": 1, "total": 5, "a/b": 1}

    at.run(order, {"lines": [{"sku": "x"}]})
    assert at.order(order).variables == {
        "kept": 1, "total": 5, "a/b": 1, "first": "x", "all": {"lines": [{"sku": "x"}]}
    }  # fmt: skip


def test_only_variables_that_changed_are_in_the_patch() -> None:
    at = engine(a=action("z", results=["x", "y", "flag"]))
    order = at.start(x=1, flag=1)
    at.claim(order)

    moves = at.send(order, events.StepSucceeded({"x": 1, "y": 2, "flag": True}))

    assert moves.set_variables == {"y": 2, "flag": True}


@pytest.mark.parametrize(
    ("result", "error"),
    [
        (None, "results.total: the result is null, not an object. Return an object."),
        ("text", "results.total: the result is text, not an object"),
        (5, "results.total: the result is a number, not an object"),
        (True, "results.total: the result is a flag, not an object"),
        ([1], 'results.total: the result has no value at "/total"'),
        ({"totl": 1}, 'results.total: the result has no value at "/total". Return one, or change "results".'),
        ({"total": "x" * 65_536}, "variables: may be at most 65,536 bytes of JSON"),
        ({"total": object()}, "not JSON"),
    ],
)
def test_result_of_another_form_fails_the_step(result: Any, error: str) -> None:
    at = engine(a=action("z", results=["total"]))
    order = at.start()

    at.run(order, result)

    assert at.place(order) == ("a", "failed")
    assert error in at.order(order).reason
    assert at.order(order).reason.startswith("a failed: ")
    assert at.order(order).variables == {}


def test_failed_step_parks_the_order_there() -> None:
    at = Engine(main=THREE)
    order = at.start()
    at.run(order)

    at.run(order, error="no stock")

    assert at.place(order) == ("b", "failed")
    assert at.order(order).reason == "b failed: no stock"
    moves = at.rows[order].moves
    assert moves is not None
    assert moves.park
    assert moves.finish is None


def test_redrive_goes_on_from_the_failed_step() -> None:
    at = Engine(main=THREE)
    order = at.start()
    at.run(order)
    at.run(order, error="no stock")

    at.send(order, events.Resumed())

    assert at.place(order) == ("b", "ready")
    at.run(order)
    at.run(order)
    assert at.order(order).outcome == "succeeded"
    assert at.order(order).visits == {"b": 1, "c": 1, "z": 1}


def test_redrive_can_go_on_elsewhere_with_other_variables() -> None:
    at = Engine(main=THREE)
    order = at.start(x=1)
    at.run(order, error="bad x")

    moves = at.send(order, events.Resumed(at="c", variables={"x": 2}))

    assert at.place(order) == ("c", "ready")
    assert moves.set_variables == {"x": 2}


def test_setbacks_are_counted_and_their_delays_grow() -> None:
    at = engine(a=action("z", retry={"min_backoff": 10, "max_backoff": 30, "max_retries": 4}))
    order = at.start()
    waits = []

    for _ in range(4):
        at.run(order, error="busy")
        assert at.place(order) == ("a", "waiting")
        before = at.now
        at.pass_time(order)
        waits.append((at.now - before).total_seconds())
    at.run(order, error="busy")

    assert waits == [10, 20, 30, 30]
    assert at.place(order) == ("a", "failed")
    assert at.order(order).setbacks == 4


def test_retry_takes_the_delays_of_its_list() -> None:
    at = engine(a=action("z", retry=[1, 60], on_exhausted="suspend"))
    order = at.start()

    at.run(order, error="busy")
    assert at.order(order).available_at == later(1)
    at.pass_time(order)
    at.run(order, error="busy")
    assert at.order(order).available_at == later(61)
    at.pass_time(order)
    at.run(order, error="busy")

    assert at.place(order) == ("a", "suspended")


def test_max_setbacks_bounds_the_retries() -> None:
    at = engine(a=action("z", max_setbacks=1))
    order = at.start()
    at.run(order, error="busy")
    at.pass_time(order)

    at.run(order, error="busy")

    assert at.place(order) == ("a", "failed")


def test_wait_that_the_step_names_replaces_the_policys() -> None:
    at = engine(a=action("z", retry=[10]))
    order = at.start()

    at.run(order, error="busy", retry_after=99)

    assert at.order(order).available_at == later(99)


def test_jitter_is_the_same_whenever_it_is_computed() -> None:
    chain = parse_chain({"steps": {"a": action("z", retry={"min_backoff": 100, "jitter": 0.5}), "z": END}})
    orders = [Order(n, "a", "claimed") for n in range(50)]

    first, second = (
        [advance(chain, order, events.StepFailed("x"), later(0)).order.available_at for order in orders]
        for _ in range(2)
    )

    assert first == second
    assert len(set(first)) > 40
    assert all(later(50) <= at <= later(150) for at in first if at is not None)


def test_permanent_error_uses_no_retry() -> None:
    at = engine(a=action("b", retry=[10], on_exhausted={"goto": "b"}), b=action("z"))
    order = at.start()

    at.run(order, error="gone", may_retry=False)

    assert at.place(order) == ("b", "ready")


def test_setbacks_begin_again_at_each_step() -> None:
    at = engine(a=action("b", retry=[1]), b=action("z", retry=[1]))
    order = at.start()
    at.run(order, error="busy")
    at.pass_time(order)

    at.run(order)

    assert at.order(order).setbacks == 0


@pytest.mark.parametrize(
    ("on_error", "place"),
    [("fail", ("a", "failed")), ("suspend", ("a", "suspended")), ({"goto": "b"}, ("b", "ready"))],
)
def test_error_policy_says_what_follows_an_error(on_error: Any, place: tuple[str, str]) -> None:
    at = engine(a=action("z", on_error=on_error), b=action("z")) if on_error == {"goto": "b"} else engine(
        a=action("z", on_error=on_error)
    )  # fmt: skip
    order = at.start()

    at.run(order, error="broken")

    assert at.place(order) == place


CHOICE = {
    "kind": "choice", "default": "small",
    "choices": [
        {"when": {"total": {"at_least": 1000}}, "next": "large"},
        {"when": {"total": {"at_least": 100}, "country": {"in": ["DE", "FR"]}}, "next": "middle"},
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("variables", "step"),
    [
        ({"total": 1000}, "large"),
        ({"total": 100, "country": "DE"}, "middle"),
        ({"total": 100, "country": "US"}, "small"),
        ({"total": "1000"}, "small"),
        ({}, "small"),
    ],
)
def test_choice_takes_the_first_condition_that_holds(variables: dict[str, Any], step: str) -> None:
    at = engine(choice=CHOICE, large=action("z"), middle=action("z"), small=action("z"))

    assert at.place(at.start(**variables)) == (step, "ready")


def test_end_of_the_outcome_failed_is_final() -> None:
    at = Engine(main={"steps": {"a": {"kind": "end", "outcome": "failed", "reason": "no goods"}}})
    order = at.start()

    assert at.place(order) == ("a", "ended")
    assert finish(at, order) == Finish("failed", "no goods")


def test_delay_makes_the_order_wait_before_its_step() -> None:
    at = engine(a=action("z", delay=30))
    order = at.start()

    assert at.place(order) == ("a", "waiting")
    assert at.order(order).available_at == later(30)
    assert at.pass_time(order).state == "ready"


def test_locks_are_taken_with_the_claim_and_released_after_each_try() -> None:
    at = Engine(main={"locks": {"db": 1}, "steps": {"a": action("z", locks=["db"], retry=[1]), "z": END}})
    order = at.start()
    taken = at.rows[order].moves
    assert taken is not None
    assert taken.take_locks == ("db",)

    at.claim(order)
    assert at.send(order, events.StepFailed("busy")).release_locks == ("db",)
    at.now = later(1)
    assert at.send(order, events.TimeOver()).take_locks == ("db",)
    at.claim(order)
    assert at.send(order, events.StepSucceeded()).release_locks == ("db",)


# Stopped and skipped steps.


def test_order_waits_before_a_stopped_step_until_it_is_activated() -> None:
    at = Engine(main=THREE)
    at.states = StepStates(stopped=frozenset({"b"}))
    order = at.start()

    at.run(order)
    assert at.place(order) == ("b", "at_stopped")

    at.states = StepStates()
    at.send(order, events.StatesChanged())
    assert at.place(order) == ("b", "ready")
    assert at.order(order).visits["b"] == 1


def test_stop_takes_back_an_order_that_is_ready() -> None:
    at = Engine(main=THREE)
    order = at.start()
    at.states = StepStates(stopped=frozenset({"a"}))

    at.send(order, events.StatesChanged())

    assert at.place(order) == ("a", "at_stopped")


def test_stop_lets_a_claimed_step_end() -> None:
    at = Engine(main=THREE)
    order = at.start()
    at.claim(order)
    at.states = StepStates(stopped=frozenset({"a"}))

    at.send(order, events.StatesChanged())
    assert at.place(order) == ("a", "claimed")
    at.send(order, events.StepSucceeded())
    assert at.place(order) == ("b", "ready")


def test_retry_comes_to_a_step_that_was_stopped_meanwhile() -> None:
    at = engine(a=action("z", retry=[5, 5]))
    order = at.start()
    at.run(order, error="busy")
    at.states = StepStates(stopped=frozenset({"a"}))

    at.pass_time(order)
    assert at.place(order) == ("a", "at_stopped")
    at.states = StepStates()
    at.send(order, events.StatesChanged())

    assert at.place(order) == ("a", "ready")
    assert at.order(order).setbacks == 1


def test_stopped_chain_stops_its_orders_before_every_step() -> None:
    at = Engine(main=THREE)
    order = at.start()
    at.claim(order)
    at.states = StepStates(is_chain_stopped=True)

    at.send(order, events.StepSucceeded())

    assert at.place(order) == ("b", "at_stopped")


def test_stopped_chain_lets_orders_end_that_have_no_step_left() -> None:
    at = engine(a=action("z"))
    order = at.start()
    at.claim(order)
    at.states = StepStates(is_chain_stopped=True)

    at.send(order, events.StepSucceeded())

    assert at.order(order).outcome == "succeeded"


def test_skipped_steps_are_passed_at_once() -> None:
    at = Engine(main=THREE)
    at.states = StepStates(skipped=frozenset({"b", "c"}))
    order = at.start()

    moves = at.send(at.claim(order).id, events.StepSucceeded())

    assert at.place(order) == ("z", "ended")
    assert moves.notes == ("skipped b", "skipped c", "succeeded")


@pytest.mark.parametrize("state", ["ready", "waiting", "at_stopped", "at_limit", "locked"])
def test_skip_lets_orders_pass_that_wait_at_the_step(state: str) -> None:
    at = Engine(main=THREE)
    order = at.start()
    at.rows[order].order = Order(order, "a", state)
    at.states = StepStates(skipped=frozenset({"a"}))

    at.send(order, events.StatesChanged())

    assert at.place(order) == ("b", "ready")


def test_order_that_would_skip_round_for_ever_is_suspended() -> None:
    again = {"kind": "choice", "choices": [{"when": {"done": True}, "next": "z"}], "default": "a"}
    at = engine(a=action("again"), again=again)
    at.states = StepStates(skipped=frozenset({"a"}))

    order = at.start()

    assert at.place(order) == ("a", "suspended")
    assert at.order(order).reason == "it came to a again without having run any step"


def test_more_visits_than_allowed_suspend_the_order() -> None:
    again = {"kind": "choice", "choices": [{"when": {"done": True}, "next": "z"}], "default": "a"}
    at = engine(a=action("again", max_visits=3), again=again)
    order = at.start()

    for _ in range(3):
        at.run(order)

    assert at.place(order) == ("a", "suspended")
    assert at.order(order).reason == "max_visits: it came to a for the 4. time; 3 are allowed"
    at.send(order, events.Resumed(variables={"done": True}))
    assert at.place(order) == ("a", "ready")
    assert at.order(order).visits == {"a": 1}
    assert at.run(order).outcome == "succeeded"


# Late and repeated events.


def test_event_of_an_earlier_turn_changes_nothing() -> None:
    at = Engine(main=THREE)
    order = at.start()
    turn = at.claim(order).turn
    at.send(order, events.StepSucceeded(turn=turn))
    at.claim(order)

    moves = at.send(order, events.StepSucceeded(turn=turn))

    assert moves.order.turn == turn + 1
    assert at.place(order) == ("b", "claimed")


@pytest.mark.parametrize("event", [events.StepSucceeded(), events.StepFailed("x"), events.Started(), events.TimeOver()])
def test_event_that_does_not_fit_the_state_changes_nothing(event: Any) -> None:
    at = Engine(main=THREE)
    order = at.start()
    before = at.order(order)

    moves = at.send(order, event)

    assert moves.order == before
    assert not moves.set_variables
    assert moves.finish is None


# What people do.


def test_suspended_order_stays_until_it_is_resumed() -> None:
    at = Engine(main=THREE)
    order = at.start()

    at.send(order, events.Suspended("look at it"))
    assert at.place(order) == ("a", "suspended")
    assert at.order(order).reason == "look at it"
    at.send(order, events.Resumed())

    assert at.place(order) == ("a", "ready")


def test_suspend_of_a_running_order_applies_before_the_next_step() -> None:
    at = Engine(main=THREE)
    order = at.start()
    at.claim(order)

    at.send(order, events.Suspended())
    assert at.place(order) == ("a", "claimed")
    at.send(order, events.StepSucceeded())

    assert at.place(order) == ("b", "suspended")
    at.send(order, events.Resumed())
    assert at.place(order) == ("b", "ready")


def test_suspend_of_a_running_order_applies_before_its_retry() -> None:
    at = engine(a=action("z", retry=[1]))
    order = at.start()
    at.claim(order)
    at.send(order, events.Suspended())

    at.send(order, events.StepFailed("busy"))

    assert at.place(order) == ("a", "suspended")


def test_suspend_that_has_not_applied_can_be_taken_back() -> None:
    at = Engine(main=THREE)
    order = at.start()
    at.claim(order)
    at.send(order, events.Suspended())

    at.send(order, events.Resumed())
    at.send(order, events.StepSucceeded())

    assert at.place(order) == ("b", "ready")


def test_person_skips_the_step_of_one_order() -> None:
    at = Engine(main=THREE)
    order = at.start()
    at.run(order, error="broken")

    moves = at.send(order, events.Skipped("olga"))

    assert at.place(order) == ("b", "ready")
    assert "skipped a by olga" in moves.notes


def test_person_moves_and_resets_an_order() -> None:
    at = Engine(main=THREE)
    order = at.start(x=1)

    at.send(order, events.Moved("c"))
    assert at.place(order) == ("c", "ready")
    at.send(order, events.Reset())

    assert at.place(order) == ("a", "ready")
    assert at.order(order).visits == {"a": 1}
    assert at.order(order).variables == {"x": 1}


@pytest.mark.parametrize("event", [events.Moved("c"), events.Reset(), events.Skipped()])
def test_person_cannot_move_an_order_while_its_step_runs(event: Any) -> None:
    at = Engine(main=THREE)
    order = at.start()
    at.claim(order)

    with pytest.raises(NotAllowedNow, match="a worker runs a"):
        at.send(order, event)


def test_resume_at_a_step_that_does_not_exist_is_refused() -> None:
    at = Engine(main=THREE)
    order = at.start()
    at.send(order, events.Suspended())

    with pytest.raises(SpecError, match=r'at: "bb" is not a step of this chain\. Did you mean "b"\?'):
        at.send(order, events.Resumed(at="bb"))
    assert at.place(order) == ("a", "suspended")


@pytest.mark.parametrize("variables", [{"x": "y" * 65_536}, {"a.b": 1}, {"x": float("inf")}])
def test_resume_with_variables_that_cannot_be_is_refused(variables: dict[str, Any]) -> None:
    at = Engine(main=THREE)
    order = at.start()
    at.send(order, events.Suspended())

    with pytest.raises(SpecError, match=r"^variables"):
        at.send(order, events.Resumed(variables=variables))


def test_only_suspended_and_failed_orders_are_resumed() -> None:
    at = Engine(main=THREE)
    order = at.start()

    with pytest.raises(NotAllowedNow, match="order: is ready"):
        at.send(order, events.Resumed())


@pytest.mark.parametrize("event", [events.Suspended(), events.Moved("c"), events.Reset(), events.Skipped()])
def test_nothing_is_done_to_an_order_that_has_ended(event: Any) -> None:
    at = Engine(main=THREE)
    order = at.start()
    at.send(order, events.Cancelled())

    with pytest.raises(NotAllowedNow):
        at.send(order, event)


@pytest.mark.parametrize("state", ["pending", "ready", "waiting", "at_stopped", "suspended", "failed", "awaiting"])
def test_order_can_be_cancelled_in_every_state(state: str) -> None:
    at = Engine(main=THREE)
    order = at.start()
    at.rows[order].order = Order(order, "a", state)

    moves = at.send(order, events.Cancelled("not needed"))

    assert at.place(order) == ("a", "ended")
    assert moves.finish == Finish("cancelled", "not needed")
    assert not moves.revoke


def test_cancel_ends_the_claim_of_a_running_order() -> None:
    at = Engine(main={"locks": {"db": 1}, "steps": {"a": action("z", locks=["db"]), "z": END}})
    order = at.start()
    at.claim(order)

    moves = at.send(order, events.Cancelled())

    assert moves.revoke
    assert moves.release_locks == ("db",)


# Deadline and finally.


def test_deadline_fails_the_order_where_it_is() -> None:
    at = Engine(main={"deadline": 60, **THREE})
    order = at.start()
    assert at.order(order).deadline_at == later(60)
    at.run(order)

    at.send(order, events.DeadlinePassed())

    assert at.place(order) == ("b", "failed")
    assert at.order(order).reason == "the deadline of the chain passed"
    at.now = later(100)
    at.send(order, events.Resumed())
    assert at.order(order).deadline_at == later(160)


def test_deadline_can_suspend_or_go_elsewhere() -> None:
    at = Engine(
        main={"deadline": 60, "on_deadline": "suspend", **THREE},
        other={"deadline": 60, "on_deadline": {"goto": "c"}, **THREE},
    )
    one, other = at.start(), at.start("other")
    at.claim(other)

    at.send(one, events.DeadlinePassed())
    moves = at.send(other, events.DeadlinePassed())

    assert at.place(one) == ("a", "suspended")
    assert at.place(other) == ("c", "ready")
    assert moves.revoke
    at.send(other, events.DeadlinePassed())
    assert at.place(other) == ("c", "ready")


FINALLY = {"finally": "clean", "steps": {"a": action("z"), "clean": action("z2"), "z": END, "z2": END}}


@pytest.mark.parametrize(
    ("event", "outcome", "reason"),
    [
        (events.StepSucceeded(), "succeeded", ""),
        (events.Cancelled("stop"), "cancelled", "stop"),
    ],
)
def test_finally_steps_run_before_the_outcome_applies(event: Any, outcome: str, reason: str) -> None:
    at = Engine(main=FINALLY)
    order = at.start()
    at.claim(order)

    at.send(order, event)
    assert at.place(order) == ("clean", "ready")
    assert at.order(order).in_finally
    at.run(order)

    assert at.order(order).outcome == outcome
    assert finish(at, order) == Finish(outcome, reason)


def test_failed_order_is_parked_at_its_step_after_its_finally_steps() -> None:
    at = Engine(main=FINALLY)
    order = at.start()

    at.run(order, error="broken")
    assert at.place(order) == ("clean", "ready")
    at.run(order)
    assert at.place(order) == ("a", "failed")
    assert at.order(order).reason == "a failed: broken"

    at.send(order, events.Resumed())
    at.run(order)
    assert at.place(order) == ("clean", "ready")
    at.run(order)
    assert at.order(order).outcome == "succeeded"


def test_deadline_runs_the_finally_steps_and_does_not_interrupt_them() -> None:
    at = Engine(main={"deadline": 60, **FINALLY})
    order = at.start()
    at.send(order, events.DeadlinePassed())
    assert at.place(order) == ("clean", "ready")

    at.send(order, events.DeadlinePassed())
    assert at.place(order) == ("clean", "ready")
    at.run(order)

    assert at.place(order) == ("a", "failed")


def test_error_in_the_finally_steps_fails_an_order_that_had_succeeded() -> None:
    at = Engine(main=FINALLY)
    order = at.start()
    at.run(order)

    at.run(order, error="disk full")

    assert finish(at, order) == Finish("failed", "finally: clean failed: disk full")


def test_error_in_the_finally_steps_hides_no_earlier_error() -> None:
    at = Engine(main=FINALLY)
    order = at.start()
    at.run(order, error="first")

    at.run(order, error="second")

    assert at.place(order) == ("a", "failed")
    assert at.order(order).reason == "a failed: first"


def test_second_cancel_ends_the_finally_steps() -> None:
    at = Engine(main=FINALLY)
    order = at.start()
    at.send(order, events.Cancelled("once"))

    at.send(order, events.Cancelled("twice"))

    assert at.order(order).outcome == "cancelled"


def test_failed_order_that_is_cancelled_runs_no_finally_steps_again() -> None:
    at = Engine(main=FINALLY)
    order = at.start()
    at.run(order, error="broken")
    at.run(order)

    at.send(order, events.Cancelled("dismissed"))

    assert finish(at, order) == Finish("cancelled", "dismissed")
