"""Subscribers: which subscriptions get the executions of a group's timers.

In a group without subscriptions, timers (and everywhere those with their own action) run by their action. Otherwise
each occurrence yields one execution for every broadcast subscription whose filter the timer passes, under the
subscription's ordinal, and one, under ordinal 0, for one of the queue subscriptions that it passes.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Final

from timers.actions import Action, parse
from timers.actions.pull import PullAction
from timers.domain.filters import Filter
from timers.domain.policies import Policies, Retry
from timers.models import Subscription

logger = logging.getLogger(__name__)

NOBODY: Final = "no subscription matches"
"""Why an occurrence that matches none of the group's subscriptions is skipped."""


@dataclass(frozen=True, slots=True)
class Subscriber:
    """A subscription as the engine uses it."""

    ordinal: int
    name: str
    is_queue: bool
    is_active: bool
    action: Action | None
    filter: Filter
    retry: Retry | None = None

    @property
    def is_pulled(self) -> bool:
        """Whether consumers claim its executions; workers serve the others."""
        return isinstance(self.action, PullAction)

    @property
    def handler(self) -> str:
        """The handler of its action; empty when that calls none."""
        return "" if self.action is None else self.action.handler or ""

    def policies(self, of_timer: Policies) -> Policies:
        """Return the timer's policies, with the subscription's own retry policy if it has one."""
        return of_timer if self.retry is None else _with_retry(of_timer, self.retry)

    @classmethod
    def of(cls, row: Subscription) -> Subscriber:
        """Build from its row; invalid columns yield no action, and a filter that matches nothing."""
        try:
            action: Action | None = parse(row.action)
            passes = Filter.parse(row.filter)
            retry = None if row.retry is None else Retry.parse(row.retry)
        except Exception:
            logger.exception("subscription %s (%d) cannot be read", row.name, row.id)
            action, passes, retry = None, _NOTHING, None
        is_active = row.state == Subscription.State.ACTIVE
        return cls(row.ordinal, row.name, row.mode == Subscription.Mode.QUEUE, is_active, action, passes, retry)


_NOTHING: Final = Filter(tags=(("any", frozenset()),))


@lru_cache(maxsize=4096)
def _with_retry(policies: Policies, retry: Retry) -> Policies:
    return replace(policies, retry=retry)


def read_subscribers(group_ids: Collection[int]) -> dict[int, tuple[Subscriber, ...]]:
    """Return the subscriptions of groups that are not deleted, by ordinal; groups without any are left out."""
    found: dict[int, list[Subscriber]] = {}
    rows = Subscription.objects.filter(group_id__in=list(group_ids)).exclude(state=Subscription.State.DELETED)
    for row in rows.order_by("ordinal"):
        found.setdefault(row.group_id, []).append(Subscriber.of(row))
    return {group_id: tuple(subscribers) for group_id, subscribers in found.items()}


def matching(subscribers: Iterable[Subscriber], tags: Collection[str], payload: Any) -> tuple[Subscriber, ...]:
    """Return those whose filter matches a timer.

    Args:
        subscribers: the candidates.
        tags: tags of the timer.
        payload: payload of the timer.
    """
    return tuple(each for each in subscribers if each.filter.matches(tags, payload))


def receivers(matches: Sequence[Subscriber], occurrence: str) -> list[Subscriber]:
    """Return the receivers among those that match: every broadcast subscription, and one of the queue ones."""
    found = [each for each in matches if not each.is_queue]
    chosen = choose([each for each in matches if each.is_queue], occurrence)
    return found if chosen is None else [*found, chosen]


def choose(candidates: Sequence[Subscriber], occurrence: str) -> Subscriber | None:
    """Choose one of the queue subscriptions: an active one, if there is any.

    The choice depends only on the execution and the candidates (rendezvous hashing): when a subscription is added or
    removed, only its own executions move.
    """
    pool = [each for each in candidates if each.is_active] or candidates
    if len(pool) < 2:
        return pool[0] if pool else None
    return max(pool, key=lambda each: blake2b(f"{occurrence}/{each.ordinal}".encode(), digest_size=8).digest())


def peers(subscribers: Iterable[Subscriber], of: Subscriber) -> list[int]:
    """Return the ordinals whose executions a subscription's consumers may claim, its own first.

    Pulled queue subscriptions with the same filter share their executions: the first consumer gets them.
    """
    if not of.is_queue:
        return [of.ordinal]
    others = [each for each in subscribers if each.is_queue and each.is_pulled and each.filter == of.filter]
    return [of.ordinal, *(each.ordinal for each in others if each.ordinal != of.ordinal)]
