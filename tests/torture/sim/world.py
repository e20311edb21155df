"""World: one seed, from the empty tables to the verdict."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final
from unittest import mock

import psycopg
from django.db import connection

from tests.torture.sim import workload
from tests.torture.sim.client import Client
from tests.torture.sim.consumer import Consumer
from tests.torture.sim.faults import Fault, plan
from tests.torture.sim.judgement import judge
from tests.torture.sim.node import LEASE, LOOK_AHEADS, Node
from tests.torture.sim.records import Records
from tests.torture.sim.scheduler import Actor, Scheduler, current
from tests.torture.sim.session import IDLE_IN_TRANSACTION_US, Session
from tests.torture.sim.snapshot import Snapshot, Watcher
from tests.torture.sim.threads import Threads
from timers.engine import acknowledge, consume, wakeup
from timers.schedules.instant import to_microseconds
from timers.testing import VirtualTime

TAIL: Final = 100.0
"""Seconds without faults within which everything must have come to rest."""
EVERY: Final = 2
"""Commits between two looks at the tables."""
_TABLES: Final = (
    "timers_timer", "timers_claim", "timers_waiting", "timers_node", "timers_recall", "timers_cluster_event",
    "timers_attempt",
)  # fmt: skip
_NUMBERED: Final = ("timers_timer", "timers_claim", "timers_node")
"""Tables whose ids begin with 1 in every seed."""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a seed."""

    seed: int
    failure: str
    """The first violation; empty: none."""
    struck: tuple[Fault, ...]
    trace: tuple[str, ...]
    steps: int
    starts: int
    """Attempts that began."""

    @property
    def invariant(self) -> str:
        """The name of the invariant that was violated."""
        return self.failure.partition(":")[0]


class World:
    """A database, threads and an observer, for one seed after the other."""

    def __init__(self, observer: psycopg.Connection[Any]) -> None:
        """`observer`: a connection that commits by itself, to the database that Django uses."""
        self._observer = observer
        self._threads = Threads()
        self._set_autovacuum("off")
        workload.make_groups()

    def close(self) -> None:
        """End the threads, and empty the tables."""
        self._threads.close()
        self._empty()
        self._set_autovacuum("on")

    def run(self, seed: int, faults: Sequence[Fault] | None = None, *, every: int = EVERY) -> Result:
        """Run a seed. `faults`: those to strike; None: the seed's own. `every`: commits between looks."""
        self._empty()
        rng = random.Random(f"world of {seed}")
        scheduler = Scheduler(seed, to_microseconds(workload.START))
        records = Records(scheduler.fail, workload.RETRIES)
        with _seeded(seed, scheduler):
            with VirtualTime(workload.START):
                records.timers = workload.make_timers(seed)
            # As no face would write it.
            self._observer.execute(
                "UPDATE timers_timer SET payload = '{\"a\": 1e131071}' WHERE name = %s", (workload.POISON,)
            )
            return self._live(seed, rng, scheduler, records, faults, every)

    def _empty(self) -> None:
        """Empty the tables so that rows come to lie where they do in every run of a seed."""
        self._observer.execute(";".join(f"DELETE FROM {table}" for table in _TABLES))
        self._observer.execute(f"VACUUM (INDEX_CLEANUP ON) {', '.join(_TABLES)}")
        first = ", ".join(f"setval(pg_get_serial_sequence('{table}', 'id'), 1, false)" for table in _NUMBERED)
        self._observer.execute(f"SELECT {first}")

    def _set_autovacuum(self, word: str) -> None:
        """A vacuum at a time of its own would hold locks and move rows."""
        for table in _TABLES:
            if table != "timers_attempt":  # a partitioned one has no such setting
                self._observer.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = {word})")

    def _live(
        self, seed: int, rng: random.Random, scheduler: Scheduler, records: Records,
        faults: Sequence[Fault] | None, every: int,
    ) -> Result:  # fmt: skip
        watcher = Watcher(records, workload.EXCLUSIVE, workload.FOLD, workload.LIMITS)
        commits = 0

        def look() -> Snapshot:
            now = Snapshot.read(self._observer)
            watcher.look(now)
            return now

        def on_commit(actor: Actor) -> None:
            nonlocal commits
            commits += 1
            if commits % every == 0:
                look()

        storm_ends_us = scheduler.now_us + round(workload.STORM * 1e6)
        names = [f"node-{number}" for number in range(rng.choice((2, 2, 2, 3)))]
        others = ["client"]
        if any(timer.group == "sim-pull" for timer in records.timers.values()):
            others.append("consumer")
        actors = {name: Actor(scheduler, name) for name in (*names, *others)}
        sessions = {name: Session(actor, on_commit) for name, actor in actors.items()}
        crash_lock, look_ahead = rng.random() < 0.5, rng.choice(LOOK_AHEADS)
        nodes = {
            name: Node(actors[name], sessions[name], records, seed, crash_lock=crash_lock, look_ahead=look_ahead)
            for name in names
        }
        client = Client(actors["client"], sessions["client"], records, seed, storm_ends_us)
        for fault in plan(seed, names, others, LEASE) if faults is None else faults:
            actors[fault.actor].faults.append(fault)

        def frozen(actor: Actor) -> None:
            scheduler.at(scheduler.now_us + IDLE_IN_TRANSACTION_US, sessions[actor.name].end_if_frozen())
            if actor.name in nodes:
                nodes[actor.name].freeze(is_frozen=True)

        def thawed(actor: Actor) -> None:
            sessions[actor.name].thawed()
            if actor.name in nodes:
                nodes[actor.name].freeze(is_frozen=False)

        def rest(until_us: int) -> None:
            """Whether all has come to rest; looked at every second."""
            scheduler.faults_strike = False
            now = look()
            if not now.left_over and client.is_done:
                judge(records, now)
                scheduler.end()
            elif scheduler.now_us > until_us:
                scheduler.fail("left over", "; ".join(now.left_over) or "the client is not done")
            else:
                scheduler.at(scheduler.now_us + 1_000_000, partial(rest, until_us))

        scheduler.frozen, scheduler.thawed = frozen, thawed
        scheduler.at(storm_ends_us, partial(rest, storm_ends_us + round(TAIL * 1e6)))
        bodies = {actors[name]: node.live for name, node in nodes.items()} | {actors["client"]: client.live}
        if "consumer" in actors:
            bodies[actors["consumer"]] = Consumer(actors["consumer"], sessions["consumer"], records, seed).live
        scheduler.run(bodies, self._threads)
        return Result(
            seed, scheduler.failure, tuple(scheduler.struck), tuple(scheduler.trace), scheduler.steps, records.starts
        )


class _Time:
    """The part of the module `time` that the engine needs where a span of time decides something."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler

    def monotonic(self) -> float:
        """Virtual time."""
        return self._scheduler.now_us / 1e6


@contextmanager
def _seeded(seed: int, scheduler: Scheduler) -> Iterator[None]:
    """Replace what would differ from run to run, or wait in real time."""
    random.seed(seed)
    consume._known.clear()

    def sleep(seconds: float) -> None:
        current().sleep_until(scheduler.now_us + round(seconds * 1e6))

    with (
        # A notification is a hint only; polling is the truth.
        mock.patch.object(wakeup, "_notify", return_value=None),
        mock.patch.object(wakeup, "time", _Time(scheduler)),
        mock.patch.object(acknowledge, "sleep", sleep),
    ):
        wakeup.forget_nodes()
        yield


def observer() -> psycopg.Connection[Any]:
    """A connection of its own to Django's database."""
    parameters = connection.get_connection_params()
    for name in ("cursor_factory", "context", "prepare_threshold", "server_side_binding", "isolation_level"):
        parameters.pop(name, None)
    return psycopg.connect(**parameters, autocommit=True)
