"""Data passed through the engine: holders of claims, ServedGroup and Execution."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from random import sample
from typing import Any

from timers.actions import Action, parse
from timers.actions.pull import PullAction
from timers.domain.cluster_modes import DISTRIBUTED
from timers.domain.execution_id import execution_id
from timers.domain.execution_id import parse as parse_id
from timers.domain.limits import NO_LIMITS, Limits
from timers.domain.policies import Policies
from timers.engine.group_clock import DATABASE_CLOCK, GroupClock
from timers.engine.subscribers import Subscriber, read_subscribers
from timers.exceptions import InvalidRequest
from timers.handlers import Cancellation, Fire
from timers.models import TimerGroup
from timers.models.calendars import Calendars, effective, read_calendars
from timers.schedules import Schedule, parse_text
from timers.schedules.instant import from_microseconds, to_microseconds

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Holder:
    """The worker that owns claims: a node's incarnation (the id of its row) and one of its processes."""

    node_id: int
    node: str
    worker: int
    worker_pid: int


@dataclass(frozen=True, slots=True)
class Consumer:
    """A program that pulls. It owns claims under a lease, and is identified by the name that it gives."""

    name: str
    lease: float = 30.0
    """Seconds until executions that it has not ended become available again."""

    @property
    def node(self) -> str:
        """What the ledger shows as the node."""
        return f"consumer {self.name}"

    node_id = None
    worker = None
    worker_pid = None


AnyHolder = Holder | Consumer
"""The owner of a claim."""


@dataclass(frozen=True, slots=True)
class Leading:
    """The leadership that firing requires; it is verified in the transaction that fires."""

    partition: str
    node_id: int
    epoch: int
    since_us: int
    """Since when the partition has had a leader without a break (microseconds since 1970 UTC)."""


@dataclass(slots=True)
class KeyWalk:
    """A walk through the limit keys of a part, a stretch per look; seconds of time.monotonic()."""

    began_at: float
    after: str | None = None
    """The key at which the last stretch ended; None: the walk starts."""
    has_found: bool = False
    rests_until: float = 0.0
    """The walk found nothing up to the end; the next one starts at this time."""


@dataclass(frozen=True, slots=True)
class ServedGroup:
    """What the engine needs to know about a group, read once per version of its row."""

    id: int
    name: str
    version: int
    priority: int
    max_batch: int
    policies: Policies
    action: Action | None
    clock: GroupClock = DATABASE_CLOCK
    calendars: Calendars = field(default_factory=dict, compare=False, repr=False)
    subscribers: tuple[Subscriber, ...] = ()
    """Subscriptions, which get executions of timers without their own action; empty: the group's action runs them."""
    required_roles: frozenset[str] = frozenset()
    """Only nodes with all of these roles serve the group."""
    placement: str = DISTRIBUTED
    """Whether all nodes that serve the group fire it, or only the leader of its partition."""
    state_changed_us: int | None = None
    """When the group was last paused or resumed, by the database clock (microseconds)."""
    shards: int = 1
    """Number of shards of its timers."""
    is_moving: bool = False
    """Whether its timers are moving to other shards, where they may be due below a low mark read before."""
    key_walks: dict[tuple[int, int], KeyWalk] = field(default_factory=dict, compare=False, repr=False)
    """By shard and priority: progress of this process in a walk through very many limit keys."""
    strays_looked_at: dict[tuple[int, int], float] = field(default_factory=dict, compare=False, repr=False)
    """By place of the walk: when this process looked for executions without a limit key (time.monotonic())."""
    orders_by_priority: bool = False
    """Whether orders of its chains may have priorities, by which they are claimed."""
    limits: Limits = NO_LIMITS
    """How many of its executions may be claimed at once; a claim of a group with limits takes its limit lock."""

    def schedule(self, kind: str, spec_text: str, time_zone: str, policies: Policies) -> Schedule:
        """Return a timer's schedule with the exclusion calendars of its policies.

        Args:
            kind: the kind of the schedule.
            spec_text: its JSON text.
            time_zone: the timer's time zone.
            policies: the timer's policies.

        Raises:
            InvalidRequest: the schedule cannot be read.
        """
        return effective(parse_text(kind, spec_text, time_zone), policies, self.calendars, time_zone)

    def watched_since(self, real_us: int | None) -> int | None:
        """Return since when (us, group's clock) a node looks at the group without a break; None: always.

        `real_us` is the same instant by the database clock. A frozen clock gives no information.
        """
        return None if real_us is None or self.clock.frozen_us is not None else self.clock.at(real_us)

    @property
    def handler(self) -> str:
        """The handler of the group's own action; empty when that calls none."""
        return "" if self.action is None else self.action.handler or ""

    @property
    def handlers(self) -> tuple[str, ...]:
        """The handlers that its timers without their own action call."""
        called = [each.handler for each in self.subscribers if each.is_active] if self.subscribers else [self.handler]
        return tuple(name for name in called if name)

    def subscriber(self, ordinal: int) -> Subscriber | None:
        """Return the subscription with that ordinal; None for 0, and for a deleted one."""
        return next((each for each in self.subscribers if each.ordinal == ordinal), None) if ordinal else None

    def for_workers(self, leave: Collection[str] = ()) -> list[int]:
        """Return whose executions a worker takes, in random order: 0 for the group, and ordinals of subscriptions.

        `leave` has handlers that are unknown here.
        """
        if not self.subscribers:
            return [0]
        # Executions that the group's own pull action would get are left to its consumers.
        own = [] if isinstance(self.action, PullAction) else [0]
        pushed = [each for each in self.subscribers if each.is_active and not each.is_pulled]
        found = [*own, *(each.ordinal for each in pushed if each.handler not in leave)]
        return sample(found, len(found))

    @classmethod
    def of(
        cls, row: TimerGroup, calendars: Calendars | None = None, subscribers: tuple[Subscriber, ...] = ()
    ) -> ServedGroup:
        """Build from the group's row; invalid policies, action or limits fall back to the defaults."""
        try:
            policies = row.policies()
        except Exception:
            logger.exception("the policies of group %s cannot be read; the defaults hold", row.name)
            policies = Policies()
        try:
            action = None if row.action is None else parse(row.action)
        except Exception:
            logger.exception("the action of group %s cannot be read", row.name)
            action = None
        try:
            limits = row.limits()
        except Exception:
            logger.exception("the limits of group %s cannot be read; it is claimed from without", row.name)
            limits = NO_LIMITS
        own_clock = GroupClock.of(row)
        return cls(
            row.id,
            row.name,
            row.version,
            row.priority,
            row.max_batch,
            policies,
            action,
            own_clock,
            calendars or {},
            subscribers,
            frozenset(row.required_roles),
            row.placement,
            None if row.state_changed_at is None else to_microseconds(row.state_changed_at),
            row.shards,
            row.moved_to_shards_up_to is not None,
            orders_by_priority=row.orders_by_priority,
            limits=limits,
        )


def served(rows: Iterable[TimerGroup]) -> list[ServedGroup]:
    """Return groups with their subscriptions, and the calendars that they, or overrides of their timers, may name."""
    # Read the rows first: an edit of a calendar gives all groups a new version, so older calendars under a new version
    # would stay, and newer ones under an old version are read once more. The same holds for subscriptions.
    found = list(rows)
    calendars, subscribers = read_calendars(), subscribers_of(found)
    return [ServedGroup.of(row, calendars, subscribers.get(row.id, ())) for row in found]


def subscribers_of(groups: Iterable[TimerGroup]) -> dict[int, tuple[Subscriber, ...]]:
    """Return the subscriptions of groups; no query is made where no group has any."""
    wanted = [row.id for row in groups if row.worker_ordinals is not None]
    return read_subscribers(wanted) if wanted else {}


@dataclass(frozen=True, slots=True)
class ClaimedOrder:
    """What the claim of an order of a chain stores about it."""

    root: str
    """The root of the order's tree."""
    turn: int
    """The order's turn when it was claimed: it shows whether the order has moved on since."""
    is_run: bool
    """Whether its step is run; otherwise the order is only inspected: its time is over, or its step stopped."""
    scopes: tuple[tuple[str, int], ...] = ()
    """Limits and locks of which it needs a place each, with their capacities."""
    required_roles: tuple[str, ...] = ()
    """Only nodes with these roles run the step."""
    handler: str | None = None
    """The handler that the step calls."""
    in_a_row: int = 0
    """How many steps its worker has claimed at the end of the step before, without a break."""

    def details(self) -> dict[str, Any]:
        """Return what a rescue needs to know about the order, which may have moved on by then."""
        return {"turn": self.turn, "run": self.is_run, "scopes": self.scopes}

    def claimed_with(self, details: Mapping[str, Any]) -> ClaimedOrder:
        """Return the order as it was when it was claimed."""
        if not details:
            return self
        scopes = tuple((name, most) for name, most in details["scopes"])
        return replace(self, turn=details["turn"], is_run=details["run"], scopes=scopes)


@dataclass(slots=True, eq=False)
class Execution:
    """One execution while it is claimed. Instants are microseconds since 1970 UTC."""

    id: str
    timer_id: int
    group: ServedGroup
    name: str
    scheduled_us: int
    available_us: int
    """It does not start before this instant of the group's clock."""
    attempt: int
    """The number of the claimed attempt, from 1."""
    payload: Any
    action: Action | None
    policies: Policies
    time_zone: str
    fence: int = 0
    claimed_us: int = 0
    shift_us: int = 0
    """How far the group's clock was ahead of the database clock at the claim."""
    limit_key: str | None = None
    """The key under which limits count it; None: its group does not limit by key."""
    not_before_us: int = 0
    """When a rate limit lets it start, by the database clock."""
    origin: str = "schedule"
    missed_count: int = 0
    forgiven: int = 0
    """Number of attempts that do not count against max_retries."""
    snoozes: int = 0
    """How often it has been snoozed since its latest attempt with another outcome."""
    own_payload: str | None = None
    """JSON text, where the payload is not the timer's (a manual run with another one, an edited retry)."""
    schedule_kind: str = "once"
    schedule_text: str = ""
    follows: bool = False
    """Whether the timer's row changes at the end: so for all timers but plain one-shots."""
    until_committed: bool = False
    next_us: int | None = None
    """The timer's following instant, for a look when this execution ends."""
    cancelled: Cancellation = field(default_factory=Cancellation)
    """Set when cancellation is requested; the handler sees it as fire.cancelled."""
    cell: int = -1
    """Where the worker recorded its start (see worker/in_flight.py); -1: it has not started."""
    subscription: int = 0
    """The ordinal of the subscription that it is for; 0: none."""
    step: str = ""
    """For an order of a chain, its current step; empty: it is no order, or has not begun."""
    order: ClaimedOrder | None = None
    poison: str = ""
    """Why this row cannot be run at all (unreadable payload, unknown zone); it fails alone, with this reason."""

    @property
    def action_name(self) -> str:
        """The handler that its action calls, or the target."""
        return "" if self.action is None else self.action.name

    @property
    def tells_subscription(self) -> bool:
        """Whether its id shows which subscription it is for, or that it is for none."""
        ordinal = self.subscription
        return not ordinal or (self.origin == "schedule" and parse_id(self.id).ordinal == ordinal)

    @property
    def start_us(self) -> int:
        """The instant of the database clock before which it must not start."""
        return max(self.available_us - self.shift_us, self.not_before_us)

    def instant_after(self, moment_us: int) -> int | None:
        """Return the first instant of the timer's schedule after `moment_us`; None when there is none."""
        try:
            schedule = parse_text(self.schedule_kind, self.schedule_text, self.time_zone)
        except InvalidRequest:
            return None
        following = schedule.next_after(from_microseconds(moment_us))
        return None if following is None else to_microseconds(following)

    def details(self) -> dict[str, Any] | None:
        """Return what a rescue needs to know beyond the id; None for a plain first attempt."""
        told = self.tells_subscription
        snoozes = {"snoozes": self.snoozes} if self.snoozes else {}
        if (
            told
            and self.attempt == 1
            and self.own_payload is None
            and self.missed_count == 0
            and not snoozes
            and self.origin == "schedule"
            and not self.step
        ):
            return None
        return {
            **({"step": self.step} if self.step else {}),
            **({} if self.order is None else {"order": self.order.details()}),
            **({} if told else {"subscription": self.subscription}),
            "tried": self.attempt - 1,
            "forgiven": self.forgiven,
            **snoozes,
            "missed_count": self.missed_count,
            "origin": self.origin,
            "available_us": self.available_us,
            "payload": self.own_payload,
        }

    def handed_to(self, subscriber: Subscriber) -> Execution:
        """Return the execution of a fire for a subscription; a broadcast one gets an id with its own ordinal."""
        ordinal = 0 if subscriber.is_queue else subscriber.ordinal
        own_id = execution_id(self.scheduled_us, self.timer_id, "schedule", ordinal)
        given = replace(self, id=own_id, cancelled=Cancellation())
        given.hand_to(subscriber)
        return given

    def hand_to(self, subscriber: Subscriber) -> None:
        """Assign it to the subscription, with its action and retry policy."""
        self.subscription = subscriber.ordinal
        self.action = subscriber.action
        self.policies = subscriber.policies(self.policies)


def fire_of(execution: Execution, node: str, started_us: int) -> Fire:
    """Return the argument of the handler.

    Args:
        execution: the execution.
        node: name of the node that runs it.
        started_us: the start by the database clock, in microseconds.
    """
    subscriber = execution.group.subscriber(execution.subscription)
    return Fire(
        group=execution.group.name,
        name=execution.name,
        number_of_try=execution.attempt,
        payload=execution.payload,
        execution_id=execution.id,
        fence=execution.fence,
        missed_count=execution.missed_count,
        origin=execution.origin,
        node=node,
        fire_time_us=execution.group.clock.at(started_us),
        scheduled_fire_time_us=execution.scheduled_us,
        time_zone=execution.time_zone,
        group_id=execution.group.id,
        cancelled=execution.cancelled,
        subscription="" if subscriber is None else subscriber.name,
    )
