"""Add orders: timers whose action is the chain; due now, at an instant, by any schedule, or pending until started."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from timers.control.chains.find import find_chain
from timers.control.chains.upcoming import check_is_of_chain
from timers.control.change import now_of, pause_timer, resume_timer, update_timer
from timers.control.create import Created, create_timers
from timers.control.find_timer import lock_timer
from timers.control.groups import look_up_groups
from timers.control.request import Whose, kind_of, parse_request, parse_schedule, schedule_keywords
from timers.database import transaction
from timers.domain.chains.steps import readers
from timers.exceptions import InvalidRequest, NotAllowedNow
from timers.models import Timer

PENDING: Final = "pending until it is started"
NOT_OF_ORDERS: Final = ("payload", "handler", "action", "until_committed")
"""Keywords of timers that do not apply to orders: the variables are the payload, the chain is the action."""


def add_order(
    group: str,
    chain: str,
    name: str,
    *,
    variables: Mapping[str, Any] | None = None,
    pending: bool = False,
    on_conflict: str = "reject",
    actor: str = "",
    **schedule: Any,
) -> Created:
    """Add an order of a chain, or a timer that adds one at each fire.

    Args:
        group: The group of the chain.
        chain: The chain; the order uses the version that is the newest when it begins.
        name: The name of the timer that begins it, unique in the group among those that have not ended.
        variables: Its initial variables, in addition to the chain's own; at most 64 KB as JSON.
        pending: Whether it waits until `start_order`.
        on_conflict: For a name that is taken: reject, replace or keep.
        actor: Who requests it; empty: the current actor.
        schedule: The keywords of a schedule_* function, with or without its `kind`: at, after, period, expression ...,
            start_at, tags and so on. Without any schedule keyword it begins now.

    Returns:
        The result of the creation; `timer` is the timer.

    Raises:
        InvalidRequest: The variables or the schedule are invalid; all errors are named.
        TimerExists: The name is taken.
        TimerNotFound: There is no such group or chain.
    """
    find_chain(group, chain)
    problems = [
        InvalidRequest(word, "cannot be given for an order. Remove it.") for word in NOT_OF_ORDERS if word in schedule
    ]
    if variables is not None:
        try:
            readers.variables(variables, "variables")
        except InvalidRequest as error:
            problems.append(error)
    if not isinstance(pending, bool):
        problems.append(InvalidRequest("pending", "must be true or false", given=pending))
    request = {"group": group, "name": name, **_with_kind(schedule)}
    found = look_up_groups([group])
    try:
        spec_request = {word: value for word, value in request.items() if word not in NOT_OF_ORDERS}
        action = {"kind": "chain", "chain": chain}
        spec = parse_request({**spec_request, "payload": variables or {}, "action": action}, found.now_in(group))
    except InvalidRequest as error:
        problems.append(error)
    if problems:
        raise InvalidRequest.combined(problems)
    with transaction.atomic():
        (created,) = create_timers([spec], on_conflict=on_conflict, actor=actor, found=found)
        if pending and created.result != "kept":
            timer = pause_timer(group, name, reason=PENDING, actor=actor)
            created = created._replace(timer=timer)
    timer = created.timer or Timer.objects.select_related("group").get(id=created.id)
    return created._replace(timer=timer)


def start_order(group: str, chain: str, name: str, *, actor: str = "") -> Timer:
    """Start a pending order: it begins now, or at the instant or by the schedule given for it.

    Args:
        group: The group of the chain.
        chain: The chain.
        name: The name of the order's timer.
        actor: Who requests it; empty: the current actor.

    Raises:
        TimerNotFound: There is no such chain, or no timer of that name.
        NotAllowedNow: It is not an order of the chain, or is not pending.
    """
    find_chain(group, chain)
    with transaction.atomic():
        timer = lock_timer(group, name)
        check_is_of_chain(timer, chain)
        if timer.state != Timer.State.PAUSED:
            raise NotAllowedNow(f"name: order {name!r} is {timer.state}, not pending.")
        now = now_of(timer)
        if timer.schedule_kind == "once" and timer.next_fire_at is not None and timer.next_fire_at <= now:
            # Its instant passed while it was pending, which is not a misfire.
            whose = Whose(group, name, timer.time_zone, timer.start_at)
            update_timer(group, name, actor=actor, schedule=lambda: parse_schedule("once", {"after": 0}, whose, now))
        return resume_timer(group, name, actor=actor)


def _with_kind(schedule: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keywords with their kind; without schedule keywords: once, now."""
    if "kind" in schedule:
        return dict(schedule)
    own = {word: schedule[word] for word in schedule_keywords() & set(schedule)}
    if not any(value is not None for value in own.values()):
        return {"kind": "once", "after": 0, **{word: value for word, value in schedule.items() if word not in own}}
    return {"kind": kind_of(own), **schedule}
