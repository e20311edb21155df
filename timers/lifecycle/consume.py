"""Consume: programs pull executions of a group, and commit or discard them under the claim's token.

A group whose action is `pull` is served by no worker: its due timers are fired by the claim of whoever comes for them,
with the code by which workers fire. What is claimed stays the consumer's until its lease ends; then it is shown again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from time import sleep
from typing import Any, Final

from django.core import signing
from django.db import connection, transaction

from timers import clock
from timers.actions.pull import PullAction
from timers.exceptions import NotAllowedNow, SpecError, StaleToken, TimerNotFound
from timers.execution_id import MAX_TRIES, parse, try_id
from timers.lifecycle.claim import claim_ready
from timers.lifecycle.control.names import check_name
from timers.lifecycle.execution import Consumer, Execution, ServedGroup, fire_of, served
from timers.lifecycle.finish import finish
from timers.lifecycle.fire import fire_due
from timers.lifecycle.held import read_held
from timers.lifecycle.outcome import Outcome, OutcomeWord, impossible, result_text
from timers.lifecycle.release import release
from timers.lifecycle.rescue import rescue_expired
from timers.lifecycle.subscribers import peers
from timers.models import Attempt, TimerGroup
from timers.policies import check_seconds
from timers.schedules.instant import from_microseconds, to_microseconds

MAX_CLAIMED: Final = 1000
SHORTEST_LEASE: Final = 1.0
LONGEST_LEASE: Final = 12 * 3600.0
_SALT: Final = "timers.consume"
_TRIES: Final = 50
_ROUNDS: Final = 20
_SOME: Final = 100
"""Timers that are fired at once where not all of them are for who comes."""
_PAUSE: Final = 0.02
"""Seconds between two tries to end an execution whose timer someone has locked."""


@dataclass(frozen=True, slots=True)
class Message:
    """One execution that a consumer has claimed."""

    execution: str
    token: str
    """Proves the claim: needed to commit, discard or extend."""
    expires_at: datetime
    envelope: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of an execution that a consumer committed or discarded."""

    execution: str
    outcome: str
    """succeeded, discarded, or cancelled where it had been asked to end."""


def claim(
    group: str, consumer: str, *, limit: int = 1, lease: float = 30.0, subscription: str | None = None
) -> list[Message]:
    """Claim up to `limit` due executions of a group for `lease` seconds, the oldest first within a priority.

    `subscription`: only those for that subscription of the group; None: those of the group itself. Raises TimerNotFound
    for an unknown group or subscription, NotAllowedNow for one whose action is not `pull`, SpecError for a limit beyond
    1 to 1,000 and a lease beyond 1 second to 12 hours. What is paused has nothing to claim.
    """
    holder = Consumer(check_name("consumer", consumer), _check_lease(lease))
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= MAX_CLAIMED:
        raise SpecError("limit", f"must be a whole number from 1 to {MAX_CLAIMED:,}", given=limit)
    row = TimerGroup.objects.filter(name=group).first()
    if row is None:
        raise TimerNotFound(f"there is no group {group!r}")
    pulled = _served(row)
    ordinals = _ordinals(pulled, subscription)
    if row.state != TimerGroup.State.ACTIVE or not ordinals:
        return []
    now = clock.now()
    now_us = to_microseconds(now)
    rescue_expired(now_us)
    executions = _take(holder, pulled, row, now_us, limit, ordinals)
    return _messages(holder, executions, now_us)


def commit(execution: str, token: str, *, result: Any = None) -> Settled:
    """Done: the execution has succeeded. `result`: a JSON value of at most 8 KB, kept with it.

    The same call once more answers the same. Raises StaleToken when the claim is not the caller's any more.
    """
    return _settle(execution, token, "succeeded", result=result_text(result))


def discard(execution: str, token: str, *, delay: float | None = None, reason: str = "") -> Settled:
    """Not yet: show it again, after `delay` seconds or when the retry policy (or the next tick) says; it counts.

    The same call once more answers the same. Raises StaleToken when the claim is not the caller's any more.
    """
    wait = None if delay is None else check_seconds("delay", delay)
    return _settle(execution, token, "discarded", wait=wait, reason=reason or None)


def extend(execution: str, token: str, *, lease: float = 30.0) -> datetime:
    """Keep the claim (all that was claimed with it) for `lease` seconds from now; returns its end.

    Raises StaleToken when the execution is not in the caller's claim any more.
    """
    fence, seconds = _fence_of(token), _check_lease(lease)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE timers_claim SET expires_at = timers_now() + %s * INTERVAL '1 second'"
            " WHERE id = %s AND consumer IS NOT NULL AND %s::uuid = ANY(executions) RETURNING expires_at",
            (seconds, fence, _checked(execution)),
        )
        row = cursor.fetchone()
    if row is None:
        raise StaleToken(f"execution {execution} is not held by this claim any more")
    expires_at: datetime = row[0]
    return expires_at


_known: Final[dict[int, ServedGroup]] = {}
"""Groups by their ids, as they were last read."""


def _served(row: TimerGroup) -> ServedGroup:
    known = _known.get(row.id)
    if known is None or known.version != row.version:
        (known,) = served([row])
        _known[row.id] = known
    return known


def _ordinals(group: ServedGroup, subscription: str | None) -> list[int]:
    """Whose executions are claimed: 0 for the group's own, or that subscription's first; none while it is paused."""
    if subscription is not None:
        found = [each for each in group.subscribers if each.name == subscription]
        if not found:
            raise TimerNotFound(f"there is no subscription {subscription!r} in group {group.name!r}")
        if not found[0].is_pulled:
            raise NotAllowedNow(f"subscription {subscription!r} is served by workers; its action must be pull")
        return peers(group.subscribers, found[0]) if found[0].is_active else []
    if not isinstance(group.action, PullAction):
        pulled = ", ".join(each.name for each in group.subscribers if each.is_pulled)
        hint = f"say which of its subscriptions you consume: {pulled}" if pulled else "its action must be pull"
        raise NotAllowedNow(f"group {group.name!r} is served by workers; {hint} to be consumed")
    return [0]


def _take(
    holder: Consumer, group: ServedGroup, row: TimerGroup, now_us: int, limit: int, ordinals: list[int]
) -> list[Execution]:
    taken = claim_ready(holder, group, now_us=now_us, horizon_us=now_us, limit=limit, of=ordinals)
    for priority in sorted(row.timer_priorities, reverse=True):
        for shard in range(row.shards):
            # Of what a group with subscriptions fires, much may be for others: it is looked at further.
            for _ in range(_ROUNDS if group.subscribers else 1):
                if len(taken) >= limit:
                    break
                some = max(limit - len(taken), _SOME) if group.subscribers else limit - len(taken)
                fired = fire_due(
                    holder, group, shard, priority,
                    now_us=now_us, horizon_us=now_us, limit=some, takes=ordinals[:1],
                )  # fmt: skip
                taken += fired.executions
                if not fired.more or not fired.rows:
                    break
    # A timer that makes up for what it missed fires more than once.
    release(holder, taken[limit:], now_us)
    return taken[:limit]


def _messages(holder: Consumer, executions: Sequence[Execution], now_us: int) -> list[Message]:
    poison = [impossible(each, each.poison, now_us) for each in executions if each.poison]
    if poison:
        finish(holder, poison, now_us)
    expires_at = from_microseconds(now_us + round(holder.lease * 1_000_000))
    return [
        Message(each.id, _token_of(each.fence), expires_at, fire_of(each, holder.node, now_us).envelope())
        for each in executions
        if not each.poison
    ]


def _settle(
    execution: str,
    token: str,
    word: OutcomeWord,
    *,
    result: str | None = None,
    wait: float | None = None,
    reason: str | None = None,
) -> Settled:
    fence = _fence_of(token)
    _checked(execution)
    for _ in range(_TRIES):
        now_us = to_microseconds(clock.now())
        with transaction.atomic():
            found = [(held, holder) for held, holder in read_held([fence], [execution]) if isinstance(holder, Consumer)]
            if not found:
                return _settled_before(execution, fence, word)
            held, holder = found[0]
            outcome = Outcome(
                held, word, held.claimed_us, max(now_us, held.claimed_us), result=result, wait=wait, reason=reason
            )
            finished = finish(holder, [outcome], now_us)
        if finished.verdicts:
            _, verdict = finished.verdicts[0]
            return Settled(execution, "cancelled" if verdict.next == "cancel" else word)
        if finished.refused:
            return _settled_before(execution, fence, word)
        # Someone has the timer's row locked: a moment later it is free.
        sleep(_PAUSE)
    raise NotAllowedNow(f"the timer of execution {execution} is being changed; try again")


def _settled_before(execution: str, fence: int, word: str) -> Settled:
    """The answer to a repeat: what this very claim has said of the execution, where it was the same word."""
    own = Attempt.objects.filter(id__gte=execution, id__lte=try_id(execution, MAX_TRIES), fence=fence)
    said = set(own.values_list("outcome", flat=True))
    if word in said:
        return Settled(execution, word)
    if "cancelled" in said:
        return Settled(execution, "cancelled")
    raise StaleToken(f"execution {execution} is not held by this claim any more")


def _token_of(fence: int) -> str:
    return signing.Signer(salt=_SALT).sign(str(fence))


def _fence_of(token: Any) -> int:
    try:
        return int(signing.Signer(salt=_SALT).unsign(token))
    except (signing.BadSignature, TypeError, ValueError):
        raise SpecError("token", "is none that a claim was given") from None


def _checked(execution: str) -> str:
    try:
        parse(execution)
    except (ValueError, AttributeError):
        raise SpecError("execution", "is no execution id", given=execution) from None
    return execution


def _check_lease(value: Any) -> float:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not SHORTEST_LEASE <= value <= LONGEST_LEASE:
        raise SpecError("lease", f"must be from {SHORTEST_LEASE:g} to {LONGEST_LEASE:g} seconds", given=value)
    return float(value)
