"""Actions when they are saved: what would be refused at every try, or never be tried, is refused now."""

from __future__ import annotations

import json
from typing import Final

from timers import actions, handlers
from timers.actions.chain import ChainAction
from timers.actions.egress import Egress
from timers.actions.entry import EntryAction
from timers.actions.http import HttpAction
from timers.actions.pull import PullAction
from timers.actions.python import PythonAction
from timers.control.secrets import check_secrets
from timers.domain.errors import ErrorCollector, nearest
from timers.engine.nodes import handlers_elsewhere
from timers.exceptions import InvalidRequest
from timers.models import Chain, TimerGroup

MOST_NAMES: Final = 1000
"""Chains of a group among which the nearest name is looked for."""


def check_action_of_timer(spec_action: str | None, group: TimerGroup) -> None:
    """Raise InvalidRequest for a timer's action (JSON text, None: its group's) that its group cannot carry out."""
    if spec_action is not None and is_pull(group.action):
        action = actions.parse(json.loads(spec_action))
        field = "handler" if isinstance(action, PythonAction) else "action"
        raise InvalidRequest(
            field, f"has no place here: the timers of group {group.name} are pulled by consumers; take it out"
        )
    check_action_known(spec_action, group)


def check_action_known(spec_action: str | None, group: TimerGroup) -> None:
    """Raise InvalidRequest for an action with an unknown handler or a target that is not allowed."""
    if spec_action is None and group.worker_ordinals is not None:
        return  # its subscriptions have actions
    if spec_action is None and is_pull(group.action):
        return
    action_spec = group.action if spec_action is None else json.loads(spec_action)
    if action_spec is None:
        raise InvalidRequest(
            "action",
            f"is missing, and group {group.name} has none to fall back to; give one here or there",
        )
    check_action(actions.parse(action_spec), group.name)


def check_action(action: actions.Action, group: str) -> None:
    """The same for an action that has been read and that is not to be fallen back from."""
    if isinstance(action, HttpAction):
        check_http(action, group)
    elif isinstance(action, PythonAction):
        check_handler(action.handler)
    elif isinstance(action, EntryAction):
        check_entry(action)
    elif isinstance(action, ChainAction):
        check_chain(action, group)
    else:
        raise InvalidRequest("action", "pull is an action of groups: consumers pull from a group, not from a timer")


def check_chain(action: ChainAction, group: str) -> None:
    """Raise InvalidRequest, with the nearest name, for a chain that the group does not have."""
    names = list(Chain.objects.filter(group__name=group).values_list("name", flat=True)[:MOST_NAMES])
    if action.chain not in names and not Chain.objects.filter(group__name=group, name=action.chain).exists():
        near = nearest(action.chain, names)
        hint = f"did you mean {near}?" if near else "create the chain first"
        raise InvalidRequest("action.chain", f"group {group} has no chain of that name; {hint}", given=action.chain)


def check_http(action: HttpAction, group: str) -> None:
    """Raise InvalidRequest where the egress guard closes the target, or a secret is missing or not for this use."""
    mistakes = ErrorCollector()
    mistakes.check(lambda: action.check_egress(Egress.in_force()))
    mistakes.check(lambda: check_secrets(action, group))
    mistakes.raise_if_any()


def check_entry(action: EntryAction) -> None:
    """Raise InvalidRequest where this installation has no entry point, or nobody knows the handler."""
    mistakes = ErrorCollector()
    call = action.call()
    if isinstance(call, str):
        mistakes.add(InvalidRequest("action", call))
    mistakes.check(lambda: check_handler(action.called))
    mistakes.raise_if_any()


def check_handler(name: str) -> None:
    """Raise InvalidRequest, with the nearest name, for a handler that neither this process nor any live node knows."""
    if handlers.find(name) is None:
        elsewhere = handlers_elsewhere(handlers.names())
        if name not in elsewhere:
            hint = handlers.nearest(name, [*handlers.names(), *elsewhere])
            raise InvalidRequest("handler", f"no such handler here or on any live node; {hint}", given=name)


def is_pull(action: object) -> bool:
    """Whether an action as it is kept is pull."""
    return isinstance(action, dict) and action.get("kind") == PullAction.kind
