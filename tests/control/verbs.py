"""Every verb of control, called once where it changes something: what tests of all verbs are made from."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, NamedTuple

from django.contrib.auth.models import User

from tests import factories
from timers.control import (
    backfill,
    calendars,
    change,
    cluster_pause,
    delete,
    executions,
    groups,
    keys,
    leadership,
    nodes,
    operations,
    sandbox,
    secrets,
    skip_next,
    subscriptions,
    sync,
)
from timers.control.create import create_each, create_timers
from timers.control.declaration import Declaration, Declared
from timers.control.request import parse_request
from timers.models import Timer
from timers.schedules.instant import format_instant
from timers.testing import START

Prepare = Callable[[], Any]


class Verb(NamedTuple):
    """A verb, how to make what it is done to, how to ask for it, and what its entry says."""

    prepare: Prepare
    ask: Callable[[Any, str], object]
    entry: str
    subject: str


def _timer(**fields: Any) -> Timer:
    return factories.timer("nightly", in_group=factories.group("work"), **fields)


def _paused() -> Timer:
    timer = _timer()
    change.pause_timer("work", "nightly")
    return timer


def _failed() -> str:
    return str(factories.waiting(_timer(), "failed").id)


def _ready() -> str:
    return str(factories.waiting(_timer(), "ready").id)


def _ended() -> str:
    return str(factories.attempt(_timer()).id)


def _spec(name: str, **more: Any) -> Any:
    return parse_request({"kind": "once", "group": "work", "name": name, "after": 60, **more}, START)


def _calendar() -> None:
    calendars.create_calendar("holidays", rules=[])


def _secret() -> None:
    secrets.create_secret("token", "s3cret-of-ours")


def _user() -> Any:
    return User.objects.create_user("olga")


def _key() -> str:
    _user()
    return keys.create_key("sender", user="olga", scopes=["read"], all_groups=True)[0].public_id


def _operation(**more: Any) -> int:
    _failed()
    return operations.start_operation("retry", {"all": True}, pace=1, **more).pk


def _paused_operation() -> int:
    row = _operation()
    operations.pause_operation(row)
    return row


def _sandbox() -> None:
    sandbox.create_sandbox("work", START)


def _subscription() -> None:
    factories.group("work", action=None)
    subscriptions.create_subscription("work", "bills", action={"kind": "pull"})


def _paused_subscription() -> None:
    _subscription()
    subscriptions.pause_subscription("work", "bills")


def _old_timer() -> Timer:
    return _timer(schedule={"period": 3600, "anchor": format_instant(START - timedelta(days=1))})


def _backfilled() -> None:
    _old_timer()
    backfill.backfill_timer("work", "nightly", start=START - timedelta(hours=5), end=START)


def _paused_group() -> None:
    factories.group("work")
    groups.pause_group("work")


def _declared() -> Declared:
    factories.group("work")
    keywords = {"kind": "fixed_rate", "group": "work", "name": "often", "period": 60}
    return Declared("code", [Declaration(keywords, "app.timer_handlers")], [])


def _group() -> None:
    factories.group("work")


def _nothing() -> None:
    """There is nothing to prepare."""


TIMER, GROUP, PARTITION = "timer work/nightly", "group work", "partition default"


def _of_node(verb: Callable[..., Any], entry: str, **fields: Any) -> Verb:
    return Verb(
        lambda: factories.node("node-a", **fields), lambda _, actor: verb("node-a", actor=actor), entry, "node node-a"
    )


VERBS: dict[str, Verb] = {
    "backfill.backfill_timer": Verb(
        _old_timer,
        lambda _, actor: backfill.backfill_timer(
            "work", "nightly", start=START - timedelta(hours=5), end=START, actor=actor
        ),
        "timer.backfill",
        TIMER,
    ),
    "backfill.cancel_backfill": Verb(
        _backfilled,
        lambda _, actor: backfill.cancel_backfill("work", "nightly", actor=actor),
        "timer.cancel_backfill",
        TIMER,
    ),
    "calendars.create_calendar": Verb(
        _nothing,
        lambda _, actor: calendars.create_calendar("holidays", rules=[], actor=actor),
        "calendar.create",
        "calendar holidays",
    ),
    "calendars.update_calendar": Verb(
        _calendar,
        lambda _, actor: calendars.update_calendar("holidays", description="of the office", actor=actor),
        "calendar.update",
        "calendar holidays",
    ),
    "calendars.delete_calendar": Verb(
        _calendar,
        lambda _, actor: calendars.delete_calendar("holidays", actor=actor),
        "calendar.delete",
        "calendar holidays",
    ),
    "change.update_timer": Verb(
        _timer,
        lambda _, actor: change.update_timer("work", "nightly", description="new", actor=actor),
        "timer.update",
        TIMER,
    ),
    "change.pause_timer": Verb(
        _timer, lambda _, actor: change.pause_timer("work", "nightly", actor=actor), "timer.pause", TIMER
    ),
    "change.resume_timer": Verb(
        _paused, lambda _, actor: change.resume_timer("work", "nightly", actor=actor), "timer.resume", TIMER
    ),
    "change.cancel_timer": Verb(
        _timer, lambda _, actor: change.cancel_timer("work", "nightly", actor=actor), "timer.cancel", TIMER
    ),
    "change.fire_timer": Verb(
        _timer, lambda _, actor: change.fire_timer("work", "nightly", actor=actor), "timer.fire", TIMER
    ),
    "create.create_timers": Verb(
        _group, lambda _, actor: create_timers([_spec("nightly")], actor=actor), "timer.create", TIMER
    ),
    "create.create_each": Verb(
        _group, lambda _, actor: create_each([_spec("nightly")], actor=actor), "timer.create", TIMER
    ),
    "delete.delete_group": Verb(
        _timer, lambda _, actor: delete.delete_group("work", force=True, actor=actor), "group.delete", GROUP
    ),
    "executions.retry_failed": Verb(
        _failed,
        lambda execution, actor: executions.retry_failed(execution, actor=actor),
        "execution.retry",
        "execution work/nightly",
    ),
    "executions.dismiss_failed": Verb(
        _failed,
        lambda execution, actor: executions.dismiss_failed([execution], actor=actor),
        "execution.dismiss",
        "execution work/nightly",
    ),
    "executions.cancel_waiting": Verb(
        _ready,
        lambda execution, actor: executions.cancel_waiting([execution], actor=actor),
        "execution.cancel",
        "execution work/nightly",
    ),
    "executions.cancel_execution": Verb(
        _ready,
        lambda execution, actor: executions.cancel_execution(execution, actor=actor),
        "execution.cancel",
        "execution work/nightly",
    ),
    "executions.replay_execution": Verb(
        _ended,
        lambda execution, actor: executions.replay_execution(execution, actor=actor),
        "execution.replay",
        "execution work/nightly",
    ),
    "groups.create_group": Verb(
        _nothing, lambda _, actor: groups.create_group("work", actor=actor), "group.create", GROUP
    ),
    "groups.ensure_group": Verb(
        _nothing, lambda _, actor: groups.ensure_group("work", actor=actor), "group.create", GROUP
    ),
    "groups.update_group": Verb(
        _group, lambda _, actor: groups.update_group("work", description="new", actor=actor), "group.update", GROUP
    ),
    "groups.pause_group": Verb(_group, lambda _, actor: groups.pause_group("work", actor=actor), "group.pause", GROUP),
    "groups.resume_group": Verb(
        _paused_group, lambda _, actor: groups.resume_group("work", actor=actor), "group.resume", GROUP
    ),
    "keys.create_key": Verb(
        _user,
        lambda _, actor: keys.create_key("sender", user="olga", scopes=["read"], all_groups=True, actor=actor),
        "key.create",
        "key sender",
    ),
    "keys.update_key": Verb(
        _key, lambda key, actor: keys.update_key(key, rate=5, actor=actor), "key.update", "key sender"
    ),
    "keys.rotate_key": Verb(_key, lambda key, actor: keys.rotate_key(key, actor=actor), "key.rotate", "key sender"),
    "keys.revoke_key": Verb(_key, lambda key, actor: keys.revoke_key(key, actor=actor), "key.revoke", "key sender"),
    "leadership.hand_over": Verb(
        factories.led_pair, lambda _, actor: leadership.hand_over(actor=actor), "partition.hand_over", PARTITION
    ),
    "leadership.release_lead": Verb(
        factories.led_pair, lambda _, actor: leadership.release_lead(actor=actor), "partition.release_lead", PARTITION
    ),
    "nodes.drain_node": _of_node(nodes.drain_node, "node.drain"),
    "nodes.activate_node": _of_node(nodes.activate_node, "node.activate", wish="drain"),
    "nodes.stop_node": _of_node(nodes.stop_node, "node.stop"),
    "nodes.forget_node": _of_node(nodes.forget_node, "node.forget", state="stopped"),
    "cluster_pause.pause_cluster": Verb(
        _nothing, lambda _, actor: cluster_pause.pause_cluster(actor=actor), "cluster.pause", "cluster"
    ),
    "cluster_pause.resume_cluster": Verb(
        cluster_pause.pause_cluster,
        lambda _, actor: cluster_pause.resume_cluster(actor=actor),
        "cluster.resume",
        "cluster",
    ),
    "cluster_pause.pause_partition": Verb(
        lambda: factories.group(partition="reports"),
        lambda _, actor: cluster_pause.pause_partition("reports", actor=actor),
        "partition.pause",
        "partition reports",
    ),
    "cluster_pause.resume_partition": Verb(
        lambda: (factories.group(partition="reports"), cluster_pause.pause_partition("reports")),
        lambda _, actor: cluster_pause.resume_partition("reports", actor=actor),
        "partition.resume",
        "partition reports",
    ),
    "operations.start_operation": Verb(
        _failed,
        lambda _, actor: operations.start_operation("retry", {"all": True}, actor=actor),
        "operation.start",
        "operation",
    ),
    "operations.cancel_operation": Verb(
        _operation, lambda row, actor: operations.cancel_operation(row, actor=actor), "operation.cancel", "operation"
    ),
    "operations.pause_operation": Verb(
        _operation, lambda row, actor: operations.pause_operation(row, actor=actor), "operation.pause", "operation"
    ),
    "operations.resume_operation": Verb(
        _paused_operation,
        lambda row, actor: operations.resume_operation(row, actor=actor),
        "operation.resume",
        "operation",
    ),
    "operations.set_pace": Verb(
        _operation, lambda row, actor: operations.set_pace(row, 5, actor=actor), "operation.set_pace", "operation"
    ),
    "sync.reconcile": Verb(
        _declared,
        lambda declared, actor: sync.reconcile(declared, actor=actor),
        "declaration.reconcile",
        "declaration code",
    ),
    "sandbox.create_sandbox": Verb(
        _nothing, lambda _, actor: sandbox.create_sandbox("work", START, actor=actor), "group.create", GROUP
    ),
    "sandbox.freeze_clock": Verb(
        _sandbox,
        lambda _, actor: sandbox.freeze_clock("work", START + timedelta(hours=1), actor=actor),
        "group.freeze_clock",
        GROUP,
    ),
    "sandbox.run_clock": Verb(
        _sandbox, lambda _, actor: sandbox.run_clock("work", actor=actor), "group.run_clock", GROUP
    ),
    "sandbox.advance_clock": Verb(
        _sandbox, lambda _, actor: sandbox.advance_clock("work", 60, actor=actor), "group.advance_clock", GROUP
    ),
    "secrets.create_secret": Verb(
        _nothing,
        lambda _, actor: secrets.create_secret("token", "s3cret-of-ours", actor=actor),
        "secret.create",
        "secret token",
    ),
    "secrets.replace_secret": Verb(
        _secret,
        lambda _, actor: secrets.replace_secret("token", "s3cret-of-theirs", actor=actor),
        "secret.replace",
        "secret token",
    ),
    "secrets.limit_secret": Verb(
        _secret,
        lambda _, actor: secrets.limit_secret("token", hosts=["api.example.org"], actor=actor),
        "secret.limit",
        "secret token",
    ),
    "secrets.delete_secret": Verb(
        _secret, lambda _, actor: secrets.delete_secret("token", actor=actor), "secret.delete", "secret token"
    ),
    "skip_next.skip_next_fire": Verb(
        _timer, lambda _, actor: skip_next.skip_next_fire("work", "nightly", actor=actor), "timer.skip_next", TIMER
    ),
    "subscriptions.create_subscription": Verb(
        lambda: factories.group("work", action=None),
        lambda _, actor: subscriptions.create_subscription("work", "bills", action={"kind": "pull"}, actor=actor),
        "subscription.create",
        "subscription work/bills",
    ),
    "subscriptions.update_subscription": Verb(
        _subscription,
        lambda _, actor: subscriptions.update_subscription("work", "bills", description="new", actor=actor),
        "subscription.update",
        "subscription work/bills",
    ),
    "subscriptions.pause_subscription": Verb(
        _subscription,
        lambda _, actor: subscriptions.pause_subscription("work", "bills", actor=actor),
        "subscription.pause",
        "subscription work/bills",
    ),
    "subscriptions.resume_subscription": Verb(
        _paused_subscription,
        lambda _, actor: subscriptions.resume_subscription("work", "bills", actor=actor),
        "subscription.resume",
        "subscription work/bills",
    ),
    "subscriptions.delete_subscription": Verb(
        _subscription,
        lambda _, actor: subscriptions.delete_subscription("work", "bills", actor=actor),
        "subscription.delete",
        "subscription work/bills",
    ),
}
