"""Random histories of a small cluster: whatever happens, an occurrence is in exactly one place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from random import Random
from typing import Any

import pytest

from tests import factories
from tests.support.handlers import TemporaryHandlers
from tests.support.profile import IS_LONG
from timers.control.executions import cancel_waiting, dismiss_failed, retry_failed
from timers.domain.execution_id import open_as, parse
from timers.domain.policies import MISFIRE_POLICIES, OVERLAP_POLICIES
from timers.exceptions import InvalidRequest, NotAllowedNow
from timers.handlers import Discard, Fail, Fire, Retry, Snooze
from timers.models import Attempt, Claim, Timer, Waiting
from timers.schedules.instant import to_microseconds
from timers.scheduling import (
    cancel_timer,
    fire_timer,
    pause_timer,
    resume_timer,
    schedule_cron,
    schedule_fixed_delay,
    schedule_fixed_rate,
    schedule_once,
    skip_next_fire,
    update_timer,
)
from timers.testing import START, Stepper, VirtualTime

PERIOD = 2.5
"""Seconds between the instants of the strict timers."""

GROUPS: dict[str, dict[str, Any]] = {
    "plain": {},
    "drops": {"on_failed": "drop"},
    "deletes": {"on_finish": "delete"},
    "overlaps": {"overlap_policy": "allow"},
    "queues": {"overlap_policy": "queue", "max_queued": 2},
    "replaces": {"overlap_policy": "replace"},
}
STRICT: list[dict[str, Any]] = [
    {"overlap_policy": overlap, "misfire_policy": misfire, "misfire_grace": grace, "max_queued": 2, "max_catchup": 4}
    for overlap in OVERLAP_POLICIES
    for misfire in MISFIRE_POLICIES
    for grace in (0, 10)
]
"""Policies of timers that nobody replaces: each of their instants is accounted for."""


class World:
    """Three nodes, some timers, and things that happen to them."""

    def __init__(self, seed: int, time: VirtualTime, handlers: TemporaryHandlers) -> None:
        self.random = Random(seed)
        self.time = time
        self.nodes = [Stepper(time, look_ahead=1.5) for _ in range(3)]
        self.well = False
        self.disturbed: set[int] = set()
        """Timers of which a person set an execution going beside the others."""
        self.calls = handlers.calls
        handlers.add("tests.noop", self.work)
        for name, policies in GROUPS.items():
            factories.group(name, retry={"max_retries": 3, "min_backoff": 5, "max_backoff": 20}, **policies)
        factories.group("strict", retry={"max_retries": 1, "min_backoff": 2})
        for number, policies in enumerate(self.random.sample(STRICT, 6)):
            schedule_fixed_rate(
                "strict", f"{number}", period=PERIOD, overrides=policies, jitter=self.random.choice([0, 0, 1, 7]),
                priority=self.random.choice([0, 0, 3, -1]), start_at=time.now,
                max_fires=self.random.choice([None, None, 20]),
            )  # fmt: skip

    def work(self, fire: Fire) -> None:
        ends = [None, None, None, ValueError("down"), Discard(), Retry(after=2), Snooze(3), Fail("never")]
        end = None if self.well else self.random.choice(ends)
        if end is not None:
            raise end

    def anything(self) -> None:
        """One thing happens."""
        node = self.random.choice(self.nodes)
        things: list[Callable[[], object]] = [
            *[lambda: self.time.advance(self.random.choice([0.3, 1, 4, 30]))] * 4,
            *[lambda: node.claim(limit=self.random.choice([1, 3, 100]))] * 5,
            *[node.run] * 4,
            node.step,
            *[node.finish] * 4,
            *[self.create] * 2,
            node.release,
            lambda: self.die(node),
            self.change,
            self.decide,
        ]
        self.random.choice(things)()

    def create(self) -> None:
        group, name = self.random.choice(list(GROUPS)), f"{self.random.randrange(6)}"
        shared: dict[str, Any] = {"on_conflict": "replace", "until_committed": self.random.random() < 0.2}
        end_at = self.time.now + timedelta(seconds=60)
        makers: list[Callable[[], object]] = [
            lambda: schedule_once(group, name, after=self.random.randrange(8), **shared),
            lambda: schedule_fixed_rate(group, name, period=self.random.choice([1.5, 4, 20]), **shared),
            lambda: schedule_fixed_delay(group, name, delay=2, max_fires=self.random.choice([None, 3]), **shared),
            lambda: schedule_cron(group, name, expression="*/5 * * * * *", end_at=end_at, **shared),
        ]
        self.random.choice(makers)()

    def die(self, node: Stepper) -> None:
        """A node dies: another takes over, and what it still does comes too late."""
        other = self.random.choice([each for each in self.nodes if each is not node])
        other.rescue(node)
        self.nodes[self.nodes.index(node)] = Stepper(self.time, look_ahead=1.5)
        node.run()
        assert node.finish().verdicts == []

    def change(self) -> None:
        """A person changes a timer, as far as its state and its bounds allow."""
        timers = list(Timer.objects.order_by("id").select_related("group"))
        if not timers:
            return
        timer = self.random.choice(timers)
        names = (timer.group.name, timer.name)
        delay = self.random.choice([0.0, 3.0]) + self.random.random()
        if timer.group.name == "strict":
            self.change_strict(timer, *names)
            return
        changes: list[Callable[[], object]] = [
            lambda: pause_timer(*names),
            lambda: resume_timer(*names),
            lambda: cancel_timer(*names),
            lambda: fire_timer(*names, delay=delay),
            lambda: update_timer(*names, payload={"n": 1}),
            lambda: update_timer(*names, period=self.random.choice([1, 7])),
            lambda: update_timer(*names, delay=4),
        ]
        with suppress(NotAllowedNow, InvalidRequest):
            self.random.choice(changes)()

    def change_strict(self, timer: Timer, *names: str) -> None:
        """What leaves the instants of a timer as they are, and does not let it run beside itself from now on."""
        allows = timer.overrides["overlap_policy"] == "allow"
        alike = [policies for policies in STRICT if (policies["overlap_policy"] == "allow") == allows]
        changes: list[Callable[[], object]] = [
            lambda: pause_timer(*names),
            lambda: pause_timer(*names, until=self.time.now + timedelta(seconds=self.random.choice([2, 20]))),
            *[lambda: resume_timer(*names)] * 2,
            lambda: skip_next_fire(*names),
            lambda: fire_timer(*names),
            lambda: update_timer(*names, jitter=self.random.choice([0, 2, 7])),
            lambda: update_timer(*names, priority=self.random.choice([0, 5])),
            lambda: update_timer(*names, overrides=self.random.choice(alike)),
            *([lambda: cancel_timer(*names)] if self.random.random() < 0.1 else []),
        ]
        with suppress(NotAllowedNow, InvalidRequest):
            self.random.choice(changes)()

    def decide(self) -> None:
        """A person decides about an execution that waits."""
        rows = list(Waiting.objects.order_by("id"))
        if not rows:
            return
        row = self.random.choice(rows)
        if row.state in ("ready", "queued") or self.random.random() < 0.4:
            cancel_waiting([str(row.id)])
        elif self.random.random() < 0.5:
            retry_failed(str(row.id))
            self.disturbed.add(row.timer_id)
        else:
            dismiss_failed([str(row.id)])

    def check(self) -> None:
        """The invariant."""
        held = Counter(str(id_) for claim in Claim.objects.all() for id_ in claim.executions)
        waiting = {str(row.id): row for row in Waiting.objects.all()}
        ledger = {str(row.id): row for row in Attempt.objects.all()}
        assert max(held.values(), default=1) == 1
        assert not held.keys() & waiting.keys()
        assert not ledger.keys() & {*held, *waiting}, "it has ended and goes on"
        tries = Counter(execution_of(id_) for id_ in ledger if parse(id_).seq)
        for id_, row in waiting.items():
            assert tries[id_] == row.attempt, "a try without its row, or a row without its try"
        for id_, final in ledger.items():
            if parse(id_).seq == 0 and final.outcome == "succeeded":
                assert tries[id_] == final.attempt - 1
        for timer in Timer.objects.filter(state__in=["active", "paused"]):
            assert timer.next_fire_at is not None or timer.open_execution is not None
            if timer.open_execution is not None:
                assert str(timer.open_execution) in map(open_as, {*held, *waiting}), "it waits for ever"
        going = {id_ for id_ in {*held, *waiting} if id_ in held or waiting[id_].state == "ready"}
        scheduled = Counter(parse(id_).timer_id for id_ in going if parse(id_).origin == "schedule")
        for row in waiting.values():
            if row.state == "queued":
                assert scheduled[row.timer_id], "it queues behind nothing"
        missed = missed_counts(ledger, waiting)
        for timer in Timer.objects.filter(group__name="strict"):
            if timer.id not in self.disturbed and timer.overrides["overlap_policy"] != "allow":
                assert scheduled[timer.id] <= 1, "two at once"
            if of_timer := missed.get(timer.id):
                # Every instant up to the latest has its place, or is counted by the one that stands for it.
                latest = max(parse(id_).scheduled_us for id_ in of_timer)
                instants = (latest - to_microseconds(START)) // round(PERIOD * 1_000_000) + 1
                assert sum(of_timer.values()) + len(of_timer) == instants, f"{timer.name}: {timer.overrides}"

    def calm_down(self) -> None:
        """All is well again: what is left is done."""
        self.well = True
        Timer.objects.filter(state="paused").update(state="active")
        for _ in range(12):
            self.time.advance(30)
            self.work_off()
        for timer in Timer.objects.filter(state="active").select_related("group"):
            cancel_timer(timer.group.name, timer.name)
        for _ in range(2):
            self.work_off()
            self.time.advance(2)

    def work_off(self) -> None:
        """Every node does what it can."""
        for node in self.nodes:
            node.until_idle()
            node.finish()


def missed_counts(ledger: dict[str, Attempt], waiting: dict[str, Waiting]) -> dict[int, dict[str, int]]:
    """Timer -> scheduled execution -> how many instants it stands for beside its own."""
    told: dict[str, int] = {execution_of(id_): row.missed_count for id_, row in ledger.items()}
    told |= {id_: row.missed_count for id_, row in waiting.items()}
    for claim in Claim.objects.all():
        details = claim.details or {}
        told |= {str(id_): (details.get(str(id_)) or {}).get("missed_count", 0) for id_ in claim.executions}
    found: dict[int, dict[str, int]] = {}
    for id_, count in told.items():
        if parse(id_).origin == "schedule":
            found.setdefault(parse(id_).timer_id, {})[id_] = count
    return found


def execution_of(try_: str) -> str:
    """The id of the execution of a try: its last ten bits are 0."""
    digits = f"{int(try_.replace('-', ''), 16) & ~1023:032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


@pytest.mark.parametrize("seed", range(50 if IS_LONG else 4))
def test_whatever_happens_each_occurrence_is_in_exactly_one_place_and_ends_once(
    seed: int, time: VirtualTime, handlers: TemporaryHandlers
) -> None:
    world = World(seed, time, handlers)
    for _ in range(100):
        world.anything()
        world.check()
    world.calm_down()
    world.check()
    assert not Claim.objects.exists()
    assert not Waiting.objects.exclude(state="failed").exists()
    assert world.calls
