"""Capacities: how many orders may run a step, or hold a lock, at once.

The newest version of the chain decides for the orders of all versions. If each version had its own capacity, the orders
of the version with the higher one would take every free place, and the others would never be admitted. A step or lock
that the newest version does not have keeps the capacity of the order's own version.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Final

from timers.domain.chains import Chain
from timers.domain.chains.limits import MAX_CAPACITY
from timers.domain.chains.steps import ActionStep
from timers.engine.orders.definitions import definition_of, read_chains
from timers.exceptions import TimersError
from timers.models import ChainLock

Scopes = tuple[tuple[str, int], ...]
"""Names of places of which an order needs one each, and how many there are of them."""

_OF_CHAIN: Final = re.compile(r"(?:step:(?P<of_step>\d+)/|lock:(?P<of_lock>\d+):)(?P<name>.+)", re.DOTALL)


def step_scope(chain_id: int, step: str) -> str:
    """Return the scope of a step with `max_orders`."""
    return f"step:{chain_id}/{step}"


def own_lock_scope(chain_id: int, name: str) -> str:
    """Return the scope of a lock of one chain."""
    return f"lock:{chain_id}:{name}"


def lock_scope(group_id: int, name: str) -> str:
    """Return the scope of a lock that the chains of a group share."""
    return f"lock:{group_id}/{name}"


class SharedLocks:
    """The capacities of locks that chains share, read once for each group."""

    def __init__(self) -> None:
        self._read: dict[int, dict[str, int]] = {}

    def capacity(self, group_id: int, name: str) -> int:
        """Return how many orders may hold the lock; raise LookupError if it has been deleted."""
        if group_id not in self._read:
            rows = ChainLock.objects.filter(group_id=group_id).values_list("name", "capacity")
            self._read[group_id] = dict(rows)
        if name not in self._read[group_id]:
            raise LookupError(f'lock "{name}" has been deleted; declare it again, and retry the order')
        return self._read[group_id][name]


def newest_chain(version_id: int | None, own: Chain) -> Chain:
    """Return the newest version of a chain; `own` if there is none, or it cannot be read."""
    try:
        return own if version_id is None else definition_of(version_id).chain
    except TimersError:
        return own


def needs_place(step: ActionStep, newest: Chain) -> bool:
    """Return whether an order needs a place to run a step of its own version."""
    return bool(step.locks) or _most_at(step, newest) is not None


def scopes_of(step: ActionStep, own: Chain, newest: Chain, chain_id: int, group_id: int, shared: SharedLocks) -> Scopes:
    """Return the places that an order needs to run a step.

    Args:
        step: the step.
        own: the version of the order.
        newest: the newest version.
        chain_id: the chain.
        group_id: its group.
        shared: the locks that its chains share.

    Raises:
        LookupError: a shared lock has been deleted.
    """
    found: list[tuple[str, int]] = []
    most = _most_at(step, newest)
    if most is not None:
        found.append((step_scope(chain_id, step.name), most))
    for name in step.locks:
        locks = newest.locks if name in newest.locks else own.locks
        capacity = locks.get(name)
        if capacity is None:
            found.append((lock_scope(group_id, name), shared.capacity(group_id, name)))
        else:
            found.append((own_lock_scope(chain_id, name), capacity))
    return tuple(found)


def _most_at(step: ActionStep, newest: Chain) -> int | None:
    present = newest.steps.get(step.name)
    return present.max_orders if isinstance(present, ActionStep) else step.max_orders


def capacities_now(scopes: Mapping[str, int]) -> dict[str, int]:
    """Return the capacities that count now, for scopes with the ones that counted when an order found no place.

    The newest version may have abolished a limit, or declare a lock as shared: all orders that wait can go on then, and
    those that need another place wait for that one.
    """
    found = {scope: _OF_CHAIN.fullmatch(scope) for scope in scopes}
    chains = {scope: int(match["of_step"] or match["of_lock"]) for scope, match in found.items() if match}
    newest = _newest(set(chains.values()))
    now = dict(scopes)
    for scope, chain_id in chains.items():
        match, chain = found[scope], newest.get(chain_id)
        if match is None or chain is None:
            continue
        name, step = match["name"], chain.steps.get(match["name"])
        if match["of_lock"] and name in chain.locks:
            now[scope] = chain.locks[name] or MAX_CAPACITY
        elif match["of_step"] and isinstance(step, ActionStep):
            now[scope] = step.max_orders or MAX_CAPACITY
    return now


def chain_scopes(chain: Chain, chain_id: int) -> dict[str, int]:
    """Return the places that a version of a chain limits by itself, with their capacities."""
    steps = [step for step in chain.steps.values() if isinstance(step, ActionStep)]
    limited = {step_scope(chain_id, step.name): step.max_orders for step in steps if step.max_orders is not None}
    return limited | {own_lock_scope(chain_id, name): most for name, most in chain.locks.items() if most is not None}


def _newest(chain_ids: Collection[int]) -> dict[int, Chain]:
    found: dict[int, Chain] = {}
    for chain_id, chain in read_chains(chain_ids).items():
        try:
            if chain.newest is not None:
                found[chain_id] = definition_of(chain.newest).chain
        except TimersError:
            continue
    return found
