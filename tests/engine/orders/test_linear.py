"""Orders of chains whose steps follow one another: every step in order, its outcome and the next one together."""

from __future__ import annotations

from collections.abc import Callable

from tests.engine.orders.conftest import action
from tests.support.handlers import TemporaryHandlers
from timers.models import Attempt, ChainOrder, Claim, Waiting
from timers.testing import Stepper

Begin = Callable[..., str]
THREE = {"a": action("b", "tests.a", results=["total"]), "b": action("c", "tests.b"), "c": action("end", "tests.c")}


def test_order_walks_through_its_steps_and_ends(begin: Begin, node: Stepper, handlers: TemporaryHandlers) -> None:
    handlers.add("tests.a", lambda _: {"total": 7, "other": 1})
    handlers.add("tests.b")
    handlers.add("tests.c")
    order = begin(THREE, {"given": True})
    node.until_idle()
    assert [fire.payload for fire in handlers.calls] == [
        {"given": True}, {"given": True, "total": 7}, {"given": True, "total": 7},
    ]  # fmt: skip
    rows = Attempt.objects.order_by("attempt", "outcome").values_list("step", "attempt", "outcome")
    assert list(rows) == [("a", 1, "advanced"), ("b", 2, "advanced"), ("c", 3, "advanced"), (None, 3, "succeeded")]
    final = Attempt.objects.get(outcome="succeeded")
    assert str(final.id) == order
    row = ChainOrder.objects.get()
    assert (row.state, row.outcome, row.step, row.variables) == (
        "ended",
        "succeeded",
        "end",
        {"given": True, "total": 7},
    )
    assert not Claim.objects.exists()
    assert not Waiting.objects.exists()


def test_step_that_fails_is_tried_again_and_then_the_order_is_parked(
    begin: Begin, node: Stepper, handlers: TemporaryHandlers
) -> None:
    handlers.script("tests.a", OSError("one"), OSError("two"))
    begin({"a": action("end", "tests.a", retry={"max_retries": 1, "min_backoff": 10})})
    node.advance(60)
    assert len(handlers.calls) == 2
    assert list(Attempt.objects.order_by("attempt").values_list("step", "outcome")) == [("a", "error"), ("a", "error")]
    waiting = Waiting.objects.get()
    assert (waiting.state, waiting.step, waiting.attempt) == ("failed", "a", 2)
    assert ChainOrder.objects.get().state == "failed"
