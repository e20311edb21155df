"""Every verb of chains, steps, orders and locks, called once where it changes something: see verbs.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests import factories
from tests.control.verbs import Verb
from timers.control.chains import define, locks, orders, steps
from timers.models import Chain

_CHAIN, _STEP = "chain work/main", "step work/main/a"
_ONE = {
    "steps": {
        "a": {"action": {"handler": "tests.noop"}, "next": "ask"},
        "ask": {"kind": "approval", "text": "Go on?", "next": "paid"},
        "paid": {"kind": "signal", "next": "end"},
        "end": {"kind": "end"},
    }
}
_OTHER = {"steps": {"a": {"action": {"handler": "tests.noop"}, "next": "end"}, "end": {"kind": "end"}}}


def _chain() -> Chain:
    factories.group("work")
    return define.create_chain("work", "main", _ONE)


def _stopped() -> None:
    _chain()
    steps.stop_step("work", "main", "a")
    steps.stop_chain("work", "main")


def _lock() -> None:
    factories.group("work")
    locks.set_lock("work", "printer", 1)


def _order(step: str, state: str) -> Callable[[], str]:
    return lambda: str(factories.order(_chain(), step, state).id)


def _of_order(verb: Callable[..., Any], step: str, state: str, word: str, *more: Any) -> Verb:
    def ask(order: str, actor: str) -> object:
        return verb(order, *more, actor=actor)

    return Verb(_order(step, state), ask, f"order.{word}", "order work/")


CHAIN_VERBS: dict[str, Verb] = {
    "define.create_chain": Verb(
        lambda: factories.group("work"),
        lambda _, actor: define.create_chain("work", "main", _ONE, actor=actor),
        "chain.create",
        _CHAIN,
    ),
    "define.update_chain": Verb(
        _chain, lambda _, actor: define.update_chain("work", "main", _OTHER, actor=actor), "chain.update", _CHAIN
    ),
    "define.delete_chain": Verb(
        _chain, lambda _, actor: define.delete_chain("work", "main", actor=actor), "chain.delete", _CHAIN
    ),
    "steps.stop_step": Verb(
        _chain, lambda _, actor: steps.stop_step("work", "main", "a", actor=actor), "step.stop", _STEP
    ),
    "steps.skip_step": Verb(
        _chain, lambda _, actor: steps.skip_step("work", "main", "a", actor=actor), "step.skip", _STEP
    ),
    "steps.activate_step": Verb(
        _stopped, lambda _, actor: steps.activate_step("work", "main", "a", actor=actor), "step.activate", _STEP
    ),
    "steps.stop_chain": Verb(
        _chain, lambda _, actor: steps.stop_chain("work", "main", actor=actor), "chain.stop", _CHAIN
    ),
    "steps.start_chain": Verb(
        _stopped, lambda _, actor: steps.start_chain("work", "main", actor=actor), "chain.start", _CHAIN
    ),
    "locks.set_lock": Verb(
        lambda: factories.group("work"),
        lambda _, actor: locks.set_lock("work", "printer", 2, actor=actor),
        "lock.set",
        "lock work/printer",
    ),
    "locks.delete_lock": Verb(
        _lock, lambda _, actor: locks.delete_lock("work", "printer", actor=actor), "lock.delete", "lock work/printer"
    ),
    "orders.suspend_order": _of_order(orders.suspend_order, "ask", "awaiting", "suspend"),
    "orders.resume_order": _of_order(orders.resume_order, "ask", "suspended", "resume"),
    "orders.skip_step_of": _of_order(orders.skip_step_of, "ask", "suspended", "skip"),
    "orders.move_order": _of_order(orders.move_order, "ask", "suspended", "move", "paid"),
    "orders.reset_order": _of_order(orders.reset_order, "ask", "suspended", "reset"),
    "orders.prioritize_order": _of_order(orders.prioritize_order, "ask", "suspended", "prioritize", 5),
    "orders.cancel_order": _of_order(orders.cancel_order, "ask", "suspended", "cancel"),
    "orders.approve_order": _of_order(orders.approve_order, "ask", "awaiting", "approve"),
    "orders.refuse_order": _of_order(orders.refuse_order, "ask", "awaiting", "refuse"),
    "orders.signal_order": _of_order(orders.signal_order, "paid", "awaiting", "signal", "paid"),
}
