"""Workload: the groups that all seeds share, and the timers that a seed begins with."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from tests.torture.sim.records import Timer
from timers import handlers, scheduling
from timers.handlers import Fire
from timers.models import TimerGroup
from timers.schedules.instant import to_microseconds

START: Final = datetime(2026, 10, 25, 0, 29, 50, tzinfo=UTC)
"""Ten seconds before 02:30 in Berlin, which comes twice that night."""
STORM: Final = 10.0
"""Seconds in which faults strike and the client asks for something."""
RETRIES: Final = 2
PULLED: Final = 0.4
"""How many of the seeds have a consumer, and something for it."""
FOLD: Final = {"sim-fold": {to_microseconds(datetime(2026, 10, 25, 0, 30, tzinfo=UTC))}}
"""The instants of the timer whose time comes twice: the first pass alone."""
_COMMON: Final[dict[str, Any]] = {
    "action": {"kind": "python", "handler": "sim.effect"},
    "retry": {"max_retries": RETRIES, "delays": [0.5, 1]},
    "on_failed": "drop",
    "misfire_grace": 2,
}
GROUPS: Final[dict[str, dict[str, Any]]] = {
    "sim-plain": {**_COMMON, "max_concurrency": 2},
    "sim-queue": {**_COMMON, "overlap_policy": "queue", "misfire_policy": "fire_all", "on_failed": "park"},
    "sim-allow": {**_COMMON, "max_concurrency": 2, "overlap_policy": "allow", "misfire_policy": "fire_all"},
    "sim-replace": {**_COMMON, "overlap_policy": "replace"},
    "sim-pull": {**_COMMON, "action": {"kind": "pull"}},
}
LIMITS: Final[dict[str, int]] = {
    name: fields["max_concurrency"] for name, fields in GROUPS.items() if "max_concurrency" in fields
}
EXCLUSIVE: Final = {name for name in GROUPS if name != "sim-allow"}
_ids: Final[list[int]] = []
POISON: Final = "sim-poison"
"""The timer whose payload PostgreSQL keeps and Python cannot read."""


@handlers.handler("sim.effect")
def effect(fire: Fire) -> None:
    """Never called: the simulated nodes say what an attempt does."""


def make_groups() -> None:
    """Create the groups; seeds leave them as they are."""
    TimerGroup.objects.filter(name__in=GROUPS).delete()
    _ids[:] = [scheduling.create_group(name, **fields).id for name, fields in GROUPS.items()]


def group_ids() -> list[int]:
    """The ids of the groups."""
    return list(_ids)


def make_timers(seed: int) -> dict[str, Timer]:
    """Create the timers of a seed, in one transaction; returns what its client knows of them."""
    requests = _requests(random.Random(f"timers of {seed}"))
    known = {}
    for request in requests:
        expected = request.pop("expected", None)
        name, counts_fires = request["name"], "max_fires" in request or "until_committed" in request
        known[name] = Timer(request["group"], name, request.get("at"), expected, counts_fires)
    scheduling.schedule_many(requests)
    return known


def _requests(rng: random.Random) -> list[dict[str, Any]]:
    def later(most: float) -> datetime:
        return START + timedelta(seconds=round(rng.uniform(0, most), 3))

    def payload(longest: float) -> dict[str, Any]:
        return {"seconds": round(rng.uniform(0, longest), 2), "fails": rng.choice((0, 0, 0, 1, 2, 3))}

    def once(group: str, name: str, longest: float = 1.5) -> dict[str, Any]:
        return {"kind": "once", "group": group, "name": name, "at": later(8), "payload": payload(longest)}

    def rate(group: str, name: str) -> dict[str, Any]:
        start, period, count = later(4), round(rng.uniform(1.5, 4), 2), rng.randint(2, 3)
        return {
            "kind": "fixed_rate", "group": group, "name": name, "period": period, "start_at": start,
            "end_at": start + timedelta(seconds=period * (count - 1) + 0.1), "payload": payload(3), "expected": count,
            "overrides": {"misfire_policy": rng.choice(("fire_once", "fire_all", "skip"))},
        }  # fmt: skip

    requests = [once("sim-plain", f"once-{number}") for number in range(rng.randint(1, 3))]
    is_pulled = rng.random() < PULLED
    if is_pulled:
        requests += [once("sim-pull", f"pull-{number}") for number in range(rng.randint(1, 2))]
    groups = [name for name in GROUPS if name != "sim-pull" or (is_pulled and rng.random() < 0.5)]
    requests += [rate(group, f"rate-{group}") for group in rng.sample(groups, rng.randint(1, 2))]
    if rng.random() < 0.25:
        requests.append(
            {
                "kind": "fixed_delay", "group": "sim-plain", "name": "delay", "delay": 1.5, "max_fires": 2,
                "start_at": later(4), "payload": payload(1), "expected": 2,
            }
        )  # fmt: skip
    if rng.random() < 0.25:
        requests.append(
            {
                "kind": "fixed_rate", "group": "sim-plain", "name": "committed", "period": 2, "start_at": later(4),
                "until_committed": True, "payload": {"seconds": 0.2, "fails": rng.randint(0, 2)}, "expected": 1,
            }
        )  # fmt: skip
    if rng.random() < 0.3:
        requests.append(
            {
                "kind": "cron", "group": "sim-plain", "name": "sim-fold", "expression": "30 2 * * *",
                "time_zone": "Europe/Berlin", "end_at": START + timedelta(hours=2), "payload": {}, "expected": 1,
            }
        )  # fmt: skip
    if rng.random() < 0.25:
        requests.append(once("sim-plain", POISON))
    return requests
