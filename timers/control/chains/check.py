"""Checks of definitions that need the group: the items that a definition names must exist there."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from timers.actions import parse
from timers.actions.chain import ChainAction
from timers.actions.pull import PullAction
from timers.control.action_checks import check_action
from timers.domain.chains import Chain, check_sub_chains, parse_chain
from timers.domain.chains.steps import ActionStep
from timers.domain.errors import ErrorCollector, nearest
from timers.engine.orders.definitions import definition_of, newest_versions
from timers.exceptions import FieldProblem, InvalidRequest
from timers.models import ChainLock, TimerGroup


def check_definition(name: str, spec: Any, group: TimerGroup) -> Chain:
    """Return the parsed definition of a group's chain. Raise one InvalidRequest for all errors."""
    chain = parse_chain(spec, check_action=partial(_check_action, group.name))
    mistakes = ErrorCollector()
    mistakes.check(lambda: check_sub_chains(name, chain, partial(_newest, group.id)))
    mistakes.check(lambda: _check_locks(chain, group))
    mistakes.raise_if_any()
    return chain


def _check_action(group: str, spec: Mapping[str, Any]) -> None:
    action = parse(spec)
    if isinstance(action, ChainAction):
        raise InvalidRequest("action.kind", 'chain is no action of a step. Use a step of the kind "chain".')
    if isinstance(action, PullAction):
        raise InvalidRequest("action.kind", 'pull is no action of a step. Use a step of the kind "signal".')
    try:
        check_action(action, group)
    except InvalidRequest as error:
        inside = [each if each.field.startswith("action") else FieldProblem(f"action.{each.field}", each.message)
                  for each in error.problems]  # fmt: skip
        raise InvalidRequest.combined(InvalidRequest(each.field, each.message) for each in inside) from None


def _newest(group_id: int, name: str) -> Chain | None:
    key = newest_versions([(group_id, name)]).get((group_id, name))
    return None if key is None else definition_of(key.version_id).chain


def _check_locks(chain: Chain, group: TimerGroup) -> None:
    """Raise InvalidRequest if the chain uses shared locks that the group does not declare."""
    shared = {name for name, capacity in chain.locks.items() if capacity is None}
    if not shared:
        return
    known = set(ChainLock.objects.filter(group=group).values_list("name", flat=True))
    mistakes = ErrorCollector()
    for name in sorted(shared - known):
        near = nearest(name, known)
        hint = f'Did you mean "{near}"?' if near else "Declare the lock first, or give its capacity here."
        mistakes.add(InvalidRequest(f"locks.{name}", f"group {group.name} declares no lock of that name. {hint}"))
    mistakes.raise_if_any()


def uses_lock(chain: Chain, name: str) -> bool:
    """Return whether any step of a chain takes a lock that the group declares."""
    steps = (step for step in chain.steps.values() if isinstance(step, ActionStep))
    return name in chain.locks and chain.locks[name] is None and any(name in step.locks for step in steps)
