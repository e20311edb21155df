"""Changes that race with the begin of what they change: many threads against real nodes."""

from __future__ import annotations

import json
import random
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Final

from django.db import connection

from tests.cluster.field import Call, Field, timer_of
from timers.exceptions import NotAllowedNow
from timers.schedules.instant import to_microseconds
from timers.scheduling import cancel_timer, ensure_group, pause_timer, schedule_many, skip_next_fire, update_timer

GROUP: Final = "races"
SOONEST, LATEST = 0.1, 1.3
"""Seconds within which the timers are due."""
CLOSEST, FARTHEST = 0.0, 0.9
"""Seconds before the instant at which the change is made."""
AGAIN: Final = 4.0
"""Seconds until an updated timer is due instead."""
AT_ONCE: Final = 6
"""Timers of a thread that are under way together."""


@dataclass
class Race:
    """One change and its answer."""

    timer: int
    verb: str
    due_us: int
    acknowledged: float
    """Wall clock."""
    in_flight: list[str]
    refused: str = ""
    took: float = 0.0
    """Seconds."""


def run_races(threads: int, races: int, seed: int) -> None:
    """Make so many races and print each as a line of JSON; to be run in a process of the installation."""
    ensure_group(GROUP, action={"kind": "python", "handler": "cluster.count"})
    lock = threading.Lock()

    def one_thread(number: int) -> None:
        rng = random.Random(seed * 1000 + number)
        left = races // threads
        while left > 0:
            for race in _round(rng, f"{number}-{left}", min(AT_ONCE, left)):
                with lock:
                    sys.stdout.write(json.dumps(asdict(race)) + "\n")
            left -= AT_ONCE
        connection.close()

    running = [threading.Thread(target=one_thread, args=(number,)) for number in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()


def _round(rng: random.Random, prefix: str, number: int) -> list[Race]:
    dues = [rng.uniform(SOONEST, LATEST) for _ in range(number)]
    requests = [
        {"kind": "once", "group": GROUP, "name": f"{prefix}-{each}", "after": due} for each, due in enumerate(dues)
    ]
    began = time.monotonic()
    planned = [
        (began + due - rng.uniform(CLOSEST, FARTHEST), rng.choice(list(VERBS)), created)
        for due, created in zip(dues, schedule_many(requests), strict=True)
    ]
    made: list[Race] = []
    for change_at, verb, timer in sorted(planned, key=lambda plan: plan[0]):
        time.sleep(max(0.0, change_at - time.monotonic()))
        assert timer.next_fire_at is not None
        due_us = to_microseconds(timer.next_fire_at)
        began, in_flight, refused = time.monotonic(), [], ""
        try:
            in_flight = VERBS[verb](timer.name)
        except NotAllowedNow as error:
            refused = str(error)
        made.append(Race(timer.id, verb, due_us, time.time(), in_flight, refused, time.monotonic() - began))
    return made


VERBS: Final[dict[str, Callable[[str], list[str]]]] = {
    "update": lambda name: list(update_timer(GROUP, name, after=AGAIN).in_flight),
    "pause": lambda name: list(pause_timer(GROUP, name).in_flight),
    "cancel": lambda name: list(cancel_timer(GROUP, name).in_flight),
    "skip": lambda name: list(skip_next_fire(GROUP, name).in_flight),
}


def races_of(field: Field, threads: int, races: int, seed: int = 1) -> list[Race]:
    """Make the races against the nodes of the field."""
    call = f"from tests.cluster.late_changes import run_races; run_races({threads}, {races}, {seed})"
    return [Race(**json.loads(line)) for line in field.run(call).splitlines()]


def begun_after_the_answer(races: list[Race], calls: list[Call]) -> list[tuple[Race, Call]]:
    """Executions of the old instants that began after an answer which did not name them."""
    by_timer = defaultdict(list)
    for call in calls:
        by_timer[timer_of(call.execution)].append(call)
    return [
        (race, call)
        for race in races
        if not race.refused
        for call in by_timer[race.timer]
        if _instant_us(call.execution) == race.due_us and call.at > race.acknowledged
        and call.execution not in race.in_flight
    ]  # fmt: skip


def _instant_us(execution: str) -> int:
    bits = int(execution.replace("-", ""), 16)
    return (bits >> 80) * 1000 + ((bits >> 66) & 0x3FF)
