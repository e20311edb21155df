"""Profiles, and which fault strikes when: pure, and the same for the same seed."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final

NEMESES: Final = ("kill", "child", "freeze", "cut", "reply", "dbrestart", "slow", "disk", "clock", "rolling")


@dataclass(frozen=True, slots=True)
class Profile:
    """How long and how hard. Times are seconds, `rate` is timers due per second."""

    calm: float
    storm: float
    quiesce: float
    rate: float
    nodes: int
    nemeses: tuple[str, ...]
    rounds: int
    """How often each nemesis strikes at least."""


PROFILES: Final = {
    "smoke": Profile(10, 110, 60, 60, 3, ("kill", "child", "freeze", "cut", "reply", "dbrestart", "rolling"), 1),
    "standard": Profile(20, 180, 120, 100, 3, NEMESES, 1),
    "release": Profile(20, 1800, 180, 100, 3, NEMESES, 3),
}

LASTS: Final = {
    "kill": 4.0, "child": 2.0, "freeze": 16.0, "cut": 18.0, "reply": 4.0, "dbrestart": 3.0, "slow": 10.0, "disk": 6.0,
    "clock": 12.0, "rolling": 15.0,
}  # fmt: skip
"""Seconds between the begin of a fault and its repair; a rolling restart takes as long as it takes."""
RESTART_BOUNDS: Final = {"kill": 5.0, "child": 5.0, "freeze": 15.0, "cut": 15.0}
"""Seconds from a fault to the next start of what it interrupted, at most."""
MARGIN: Final = 1.0
SETTLES: Final = {"dbrestart": 11.0, "disk": 11.0}
"""Seconds after the repair in which nobody is declared dead yet: one lease, in which every node can beat again."""


def pause_after(nemesis: str, seconds: float) -> float:
    """Seconds from the end of a fault that lasted for `seconds` until the next may begin.

    The bound of a fault is not measured under another one.
    """
    return max(RESTART_BOUNDS.get(nemesis, 0.0) - seconds, SETTLES.get(nemesis, 0.0), 0.0) + MARGIN


@dataclass(frozen=True, slots=True)
class Strike:
    """One fault: when it begins (seconds into the storm), how long it lasts, and which node it hits."""

    nemesis: str
    at: float
    seconds: float
    node: int


def plan(profile: Profile, seed: int) -> list[Strike]:
    """The strikes of a storm: every nemesis at least `rounds` times, one after the other, with pauses between."""
    rng = random.Random(seed)
    names: list[str] = []
    for _ in range(profile.rounds):
        part = list(profile.nemeses)
        rng.shuffle(part)
        names += part
    busy = sum(LASTS[name] + pause_after(name, LASTS[name]) for name in names)
    pause = max(1.0, (profile.storm - busy) / (len(names) + 1))
    strikes, at = [], pause / 2
    for name in names:
        seconds = LASTS[name] * rng.uniform(0.8, 1.2)
        strikes.append(Strike(name, round(at, 2), round(seconds, 2), rng.randrange(profile.nodes)))
        at += seconds + pause_after(name, seconds) + pause * rng.uniform(0.6, 1.1)
    return strikes


def options_of(name: str, profile: Profile, seed: int) -> str:
    """The options of the command that runs a profile, or one that differs from it, again."""
    own, words = PROFILES[name], f"--profile {name} --seed {seed}"
    changed = {
        "--nodes": (own.nodes, profile.nodes), "--rate": (own.rate, profile.rate),
        "--duration": (own.storm, profile.storm),
        "--nemesis": (",".join(own.nemeses), ",".join(profile.nemeses)),
    }  # fmt: skip
    return words + "".join(f" {option} {_plain(given)}" for option, (usual, given) in changed.items() if usual != given)


def _plain(given: object) -> str:
    return f"{given:g}" if isinstance(given, float) else str(given)
