"""Validate actions when they are saved, so that an action which would fail at every attempt is rejected at once."""

from __future__ import annotations

import json
from typing import Final

from timers import actions, handlers
from timers.actions.chain import ChainAction
from timers.actions.egress import Egress
from timers.actions.http import HttpAction
from timers.actions.pull import PullAction
from timers.actions.python import PythonAction
from timers.actions.remote_handler import RemoteHandlerAction
from timers.control.secrets import check_secrets
from timers.domain.errors import ErrorCollector, nearest
from timers.engine.nodes import handlers_elsewhere
from timers.exceptions import InvalidRequest
from timers.models import Chain, TimerGroup

MOST_NAMES: Final = 1000
"""Maximum number of a group's chain names that are searched for the nearest name."""


def check_action_of_timer(spec_action: str | None, group: TimerGroup) -> None:
    """Raise InvalidRequest if the group cannot carry out a timer's action (JSON text; None: the group's action)."""
    if spec_action is not None and is_pull(group.action):
        action = actions.parse(json.loads(spec_action))
        field = "handler" if isinstance(action, PythonAction) else "action"
        raise InvalidRequest(
            field, f"is not allowed: the timers of group {group.name} are pulled by consumers; remove it"
        )
    check_action_known(spec_action, group)


def check_action_known(spec_action: str | None, group: TimerGroup) -> None:
    """Raise InvalidRequest for an action with an unknown handler or a target that is not allowed."""
    if spec_action is None and group.worker_ordinals is not None:
        return  # Its subscriptions have their own actions.
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
    """Raise InvalidRequest for a parsed action with an unknown handler or a target that is not allowed.

    The action is checked as it is; the group's action is not used as a fallback.
    """
    if isinstance(action, HttpAction):
        check_http(action, group)
    elif isinstance(action, RemoteHandlerAction):
        check_remote_handler(action)
    elif isinstance(action, ChainAction):
        check_chain(action, group)
    elif action.handler is not None:
        check_handler(action.handler)
    elif isinstance(action, PullAction):
        raise InvalidRequest("action", "pull is an action of groups: consumers pull from a group, not from a timer")


def check_chain(action: ChainAction, group: str) -> None:
    """Raise InvalidRequest, naming the nearest name, if the group has no chain of that name."""
    names = list(Chain.objects.filter(group__name=group).values_list("name", flat=True)[:MOST_NAMES])
    if action.chain not in names and not Chain.objects.filter(group__name=group, name=action.chain).exists():
        near = nearest(action.chain, names)
        hint = f"did you mean {near}?" if near else "create the chain first"
        raise InvalidRequest("action.chain", f"group {group} has no chain of that name; {hint}", given=action.chain)


def check_http(action: HttpAction, group: str) -> None:
    """Raise InvalidRequest if the egress guard blocks the target, or a secret is missing or not valid for this use."""
    mistakes = ErrorCollector()
    mistakes.check(lambda: action.check_egress(Egress.in_force()))
    mistakes.check(lambda: check_secrets(action, group))
    mistakes.raise_if_any()


def check_remote_handler(action: RemoteHandlerAction) -> None:
    """Raise InvalidRequest if this installation has no handler endpoint, or if no process knows the handler."""
    mistakes = ErrorCollector()
    call = action.resolve()
    if isinstance(call, str):
        mistakes.add(InvalidRequest("action", call))
    mistakes.check(lambda: check_handler(action.called))
    mistakes.raise_if_any()


def check_handler(name: str) -> None:
    """Raise InvalidRequest, naming the nearest name, if neither this process nor any live node knows the handler."""
    if handlers.find(name) is None:
        elsewhere = handlers_elsewhere(handlers.names())
        if name not in elsewhere:
            hint = handlers.nearest(name, [*handlers.names(), *elsewhere])
            raise InvalidRequest("handler", f"no such handler here or on any live node; {hint}", given=name)


def is_pull(action: object) -> bool:
    """Return whether a stored action is a pull action."""
    return isinstance(action, dict) and action.get("kind") == PullAction.kind
