"""Check whether an order can continue with another version of its chain."""

from __future__ import annotations

from dataclasses import replace

from timers.domain.chains.definition import Chain
from timers.domain.chains.order import Order
from timers.domain.chains.steps import ForkStep, JoinStep, MapStep, SubChainStep
from timers.exceptions import InvalidRequest

FIELD = "version"
_REMEDY = "Keep it there, or resume the order with its own version."


def check_version(before: Chain, after: Chain, order: Order, *, is_elsewhere: bool = False) -> None:
    """Raise InvalidRequest, with the location, if an order cannot continue with a version.

    Args:
        before: The order's present version.
        after: The version to change to.
        order: The order, or a branch, which is suspended, has failed, or restarts.
        is_elsewhere: Whether it continues at another step than the present one.
    """
    if order.branch is not None:
        _check_fork(before, after, order.branch.fork)
    if not is_elsewhere:
        _check_step(before, after, order.step)
    if order.round is not None:
        _check_round(before, after, order.step)
        if not is_elsewhere:
            _check_elements(before, after, order.step)
    if order.in_finally and after.finally_ is None:
        raise InvalidRequest(FIELD, f"that version has no finally steps, and the order is in them. {_REMEDY}")
    if order.pending is not None and order.pending.resume_at is not None:
        _check_step(before, after, order.pending.resume_at)
        if order.pending.round is not None:
            _check_round(before, after, order.pending.resume_at)
            _check_elements(before, after, order.pending.resume_at)


def without_replaced_sub_chain(before: Chain, after: Chain, order: Order) -> Order:
    """Return the order without a sub-chain that ended where the other version names another one.

    Resumed, the order then begins its step with that other chain, instead of the old one again. Only for an order that
    continues where it is: it is suspended or has failed, so its sub-chain has ended.

    Args:
        before: The order's present version.
        after: The version to change to.
        order: The order.
    """
    if order.round is not None and _names_another(before, after, order.step):
        order = replace(order, round=None)
    pending = order.pending
    if pending is None or pending.round is None or pending.resume_at is None:
        return order
    if _names_another(before, after, pending.resume_at):
        order = replace(order, pending=replace(pending, round=None))
    return order


def _names_another(before: Chain, after: Chain, name: str) -> bool:
    old, new = before.steps[name], after.steps.get(name)
    return isinstance(old, SubChainStep) and isinstance(new, SubChainStep) and old.chain != new.chain


def _check_step(before: Chain, after: Chain, name: str) -> None:
    if name not in after.steps:
        what = (
            f'that version has no step "{name}", at which the order stands. Name the step to go on from with "at", or '
        )
        raise InvalidRequest(FIELD, f"{what}resume the order with its own version.")
    if before.scopes.get(name) != after.scopes.get(name):
        new = after.scopes.get(name, "no branch: it is an end")
        raise InvalidRequest(FIELD, f'in that version "{name}", at which the order stands, belongs to {new}. {_REMEDY}')


def _check_round(before: Chain, after: Chain, name: str) -> None:
    """Check the branches or the sub-chain that an order waits for, or that failed."""
    old, new = before.steps[name], after.steps.get(name)
    if new is None or new.kind != old.kind:
        raise InvalidRequest(FIELD, f'in that version "{name}" is not of the kind {old.kind} any more. {_REMEDY}')
    if isinstance(old, JoinStep):
        if after.forks[name] != before.forks[name]:
            fork = before.forks[name]
            raise InvalidRequest(FIELD, f'in that version "{name}" is not the join of "{fork}" any more. {_REMEDY}')
        _check_fork(before, after, before.forks[name])


def _check_elements(before: Chain, after: Chain, name: str) -> None:
    """Check that a map has the same list: elements that have not begun would be those of the other one."""
    if not isinstance(before.steps[name], JoinStep):
        return
    old, new = before.parting(before.forks[name]), after.parting(after.forks[name])
    if isinstance(old, MapStep) and isinstance(new, MapStep) and new.over != old.over:
        what = f'in that version "{new.name}" is over "{".".join(new.over)}", and the order has branches of elements of'
        remedy = (
            f'Keep it there, resume the order with its own version, or begin the map again with "at": "{new.name}".'
        )
        raise InvalidRequest(FIELD, f'{what} "{".".join(old.over)}". {remedy}')


def _check_fork(before: Chain, after: Chain, name: str) -> None:
    """Check that a fork or map has the same branches, because branches of the order may run or have ended."""
    old, new = before.parting(name), after.steps.get(name)
    if new is None or new.kind != old.kind:
        raise InvalidRequest(FIELD, f'that version has no {old.kind} "{name}", whose branches the order has. {_REMEDY}')
    assert isinstance(new, (ForkStep, MapStep))
    if new.join != old.join:
        raise InvalidRequest(FIELD, f'in that version the branches of "{name}" end at "{new.join}". {_REMEDY}')
    if isinstance(new, ForkStep) and isinstance(old, ForkStep):
        changed = {branch for branch, _ in old.branches} ^ {branch for branch, _ in new.branches}
        if changed:
            words = ", ".join(sorted(changed))
            raise InvalidRequest(FIELD, f'in that version "{name}" has other branches ({words}). {_REMEDY}')
    elif isinstance(new, MapStep) and isinstance(old, MapStep) and new.element != old.element:
        raise InvalidRequest(FIELD, f'in that version "{name}" gives its branches "{new.element}". {_REMEDY}')
