"""Which fault strikes which actor at which of its points: pure, and the same for the same seed."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

STATES: Final = ("40P01", "40001", "55P03", "57014", "53100", "08006", "57P01")
"""SQLSTATEs of injected errors; the last two end the connection."""
ENDS_CONNECTION: Final = frozenset({"08006", "57P01"})
OF_NODES: Final = ("kill", "kill", "freeze", "freeze", "error", "reply", "reply", "worker", "skew", "drain")
OF_CLIENTS: Final = ("kill", "kill", "freeze", "error", "reply", "reply")
MOST: Final = 8
"""Faults of one seed."""
POINTS: Final = (3, 70)
"""The first and the last point of an actor at which a fault may strike."""


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One fault.

    kill    the process ends here; its transaction is rolled back
    freeze  it stands still for `seconds`, its locks held until the server ends the session
    error   the statement fails with SQLSTATE `state`
    reply   the statement (or COMMIT) takes effect, and its reply is lost with the connection
    worker  the worker process of the node ends; its supervisor lives on
    skew    the node's wall clock is `seconds` ahead from now on
    drain   the node ends in order
    """

    actor: str
    point: int
    """It strikes at the first point from this one on that it can strike at."""
    kind: str
    seconds: float = 0.0
    state: str = ""

    def __str__(self) -> str:
        detail = self.state or (f"{self.seconds:+.1f} s" if self.seconds else "")
        return f"{self.actor}@{self.point} {self.kind} {detail}".rstrip()


def plan(seed: int, nodes: Sequence[str], clients: Sequence[str], lease: float) -> list[Fault]:
    """The faults of a seed, in the order of their points."""
    rng = random.Random(f"faults of {seed}")
    faults = []
    for _ in range(rng.randrange(MOST + 1)):
        is_node = rng.random() < 0.7
        actor = rng.choice(nodes if is_node else clients)
        kind = rng.choice(OF_NODES if is_node else OF_CLIENTS)
        seconds, state = 0.0, ""
        if kind == "freeze":
            seconds = round(lease * rng.uniform(0.3, 2.5), 1)
        elif kind == "skew":
            seconds = round(rng.choice((-1, 1)) * rng.choice((1, 10, 300, 3600)) * rng.uniform(0.5, 1.5), 1)
        elif kind == "error":
            state = rng.choice(STATES)
        point = rng.randint(POINTS[0], POINTS[1] if is_node else POINTS[1] // 2)
        faults.append(Fault(actor, point, kind, seconds, state))
    return sorted(faults)
