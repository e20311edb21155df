"""All functions that control offers and that may change something."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from importlib import import_module
from pkgutil import iter_modules

from timers import control

NO_VERBS = {
    "audit": "the trail itself",
    "call_back": "a part of the verbs that pause and change",
    "call_back_replaced": "a part of create",
    "call_back_to_cancel": "a part of the verbs that cancel",
    "create_statement": "a part of create",
    "created_entry": "a part of create",
    "change": {"now_of", "record_skip", "saved"},
    "cluster_pause": {"call_back_paused"},  # a chore of nodes
    "debounce": "a part of create",
    "declaration": "what is declared",
    "delete": {"erase_history", "erase_nodes"},  # for measurements; no face offers them
    "difference": "compares",
    "find_timer": "reads and locks",
    "executions": {"check_execution", "cancel_unfailed"},
    "gone_receivers": "the worker's: subscriptions that pause themselves",
    "groups": {
        "look_up_groups",
        "find_groups",
        "new_group",
        "note_priorities",
        "note_first_chain",
        "note_order_priorities",
    },
    "action_checks": "checks",
    "key_fields": "checks",
    "key_settings": "a part of create and change",
    "hold_groups": "a part of create and reconcile",
    "limit_change": {"rekey_again"},  # after the commit of a change of a group
    "limits": "a part of create, change and skip_next",
    "names": "checks",
    "next_instant": "computes",
    "operations": {"group_ids"},
    "pausing": "checks",
    "sync_plan": "decides what reconcile does",
    "create_checks": "asks, and writes nothing",
    "quotas": "checks",
    "redefine": "a part of create",
    "renew_groups": "a part of the verbs that concern all groups",
    "request": "reads requests",
    "run": "a part of fire, replay and backfill",
    "secret_groups": "parts of create and delete of groups",
    "secrets": {"users_of", "check_secrets"},
    "spec": "checks",
    "subscriptions": {"find_subscription", "list_subscriptions"},
}
"""Public functions that change nothing by themselves: all of a module, or some."""


def public_functions() -> Iterator[str]:
    """`module.function` of all that control offers and that may change something."""
    for found in iter_modules(control.__path__):
        module = import_module(f"{control.__name__}.{found.name}")
        left_out = NO_VERBS.get(found.name, set())
        for name, function in vars(module).items():
            is_own = inspect.isfunction(function) and inspect.unwrap(function).__module__ == module.__name__
            if is_own and not name.startswith("_") and not isinstance(left_out, str) and name not in left_out:
                yield f"{found.name}.{name}"
