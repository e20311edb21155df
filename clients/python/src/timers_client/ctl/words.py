"""Functions of the commands of timerctl."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Final

from timers_client.ctl import chains, cluster, executions, groups, locks, operations, orders, timers
from timers_client.ctl.consume import consume
from timers_client.ctl.output import show_one
from timers_client.ctl.tail import tail
from timers_client.sync import TimersClient

_Work = Callable[[argparse.Namespace, TimersClient], None]


def work_of(arguments: argparse.Namespace) -> _Work:
    """Return the function of a command that calls the service."""
    verb = getattr(arguments, "verb", None)
    return WORDS[arguments.word if verb is None else f"{arguments.word} {verb}"]


def _me(arguments: argparse.Namespace, client: TimersClient) -> None:
    show_one(client.me(), as_json=arguments.json)


WORDS: Final[dict[str, _Work]] = {
    "list": timers.list_timers,
    "show": timers.show,
    "next": timers.next_fires,
    "skip": timers.skip,
    "cancel": timers.cancel,
    "pause": timers.pause,
    "resume": timers.resume,
    "fire": timers.fire,
    "schedule": timers.schedule,
    "update": timers.update,
    "preview": timers.preview,
    "groups list": groups.list_groups,
    "groups show": groups.show_group,
    "groups create": groups.create_group,
    "groups update": groups.update_group,
    "groups pause": groups.pause_group,
    "groups resume": groups.resume_group,
    "subscriptions list": groups.list_subscriptions,
    "subscriptions create": groups.create_subscription,
    "subscriptions pause": groups.pause_subscription,
    "subscriptions resume": groups.resume_subscription,
    "subscriptions delete": groups.delete_subscription,
    "chain list": chains.list_chains,
    "chain show": chains.show_chain,
    "chain steps": chains.list_steps,
    "chain picture": chains.show_picture,
    "chain create": chains.create_chain,
    "chain update": chains.update_chain,
    "chain diff": chains.compare_versions,
    "chain delete": chains.delete_chain,
    "chain stop": chains.stop_chain,
    "chain start": chains.start_chain,
    "chain skip": chains.skip_step,
    "chain activate": chains.activate_step,
    "lock list": locks.list_locks,
    "lock show": locks.show_lock,
    "lock set": locks.set_lock,
    "lock delete": locks.delete_lock,
    "order list": orders.list_orders,
    "order show": orders.show_order,
    "order history": orders.show_history,
    "order add": orders.add_order,
    "order start": orders.start_order,
    "order change": orders.change_order,
    "order withdraw": orders.withdraw_order,
    "order suspend": orders.suspend,
    "order resume": orders.resume,
    "order skip": orders.skip,
    "order move": orders.move,
    "order reset": orders.reset,
    "order cancel": orders.cancel,
    "order prioritize": orders.prioritize,
    "order approve": orders.approve,
    "order refuse": orders.refuse,
    "order signal": orders.signal,
    "consume": consume,
    "tail": tail,
    "execution": executions.execution,
    "failed": executions.failed,
    "retry": executions.retry,
    "dismiss": executions.dismiss,
    "operations list": operations.list_operations,
    "operations show": operations.show_operation,
    "operations pause": operations.pause_operation,
    "operations resume": operations.resume_operation,
    "operations cancel": operations.cancel_operation,
    "operations pace": operations.set_pace,
    "nodes list": cluster.list_nodes,
    "nodes show": cluster.show_node,
    "nodes drain": cluster.drain_node,
    "nodes activate": cluster.activate_node,
    "nodes stop": cluster.stop_node,
    "nodes forget": cluster.forget_node,
    "partitions pause": cluster.pause_partition,
    "partitions resume": cluster.resume_partition,
    "cluster show": cluster.show_cluster,
    "cluster pause": cluster.pause_cluster,
    "cluster resume": cluster.resume_cluster,
    "me": _me,
}
