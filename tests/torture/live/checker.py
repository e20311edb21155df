"""Checker: judges a run by its records alone. Pure functions over lists of facts.

The words of the verdict:

lost          an acknowledged timer whose instant passed has no final outcome
unexpected    a final outcome of a timer that nobody created
two outcomes  more than one final outcome of one occurrence
early         a start before the instant
unexplained   more starts of an execution than attempts in the ledger
stale         a final outcome under a lower fence than one that had started, or a start after the final outcome
after cancel  a start after a cancel was acknowledged that named nothing in flight
missed beats  an instant of a recurring timer without an outcome
"""

from __future__ import annotations

import uuid
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

from tests.torture.live.plan import RESTART_BOUNDS

FINAL: Final = frozenset({"succeeded", "failed", "cancelled", "skipped"})
EARLY_TOLERANCE: Final = 0.002
"""Seconds: the records' clock is CLOCK_MONOTONIC, mapped to the wall clock once."""
FIRING_AGAIN_BOUND: Final = 10.0

Facts = dict[str, Any]


@dataclass(slots=True)
class Run:
    """The records of a run. All times are seconds of the wall clock."""

    history: list[Facts]
    effects: list[Facts]
    ledger: list[Facts]
    nemeses: list[Facts]
    calm_until: float
    created_until: float
    """From when on nothing was created any more."""
    left_over: int = 0
    """Claims, waiting executions and due timers at the very end."""


@dataclass(slots=True)
class Verdict:
    """What was counted, and every violation in words."""

    violations: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    """What should have happened at least once and did not: then the run proves little."""
    counts: Counter[str] = field(default_factory=Counter)
    restarts: dict[str, float] = field(default_factory=dict)
    """By nemesis: the longest time from the fault to the next start of what it interrupted."""
    firing_again: float = 0.0
    """The longest time from the repair of the database to the next start."""
    lateness: dict[str, tuple[float, float, float]] = field(default_factory=dict)
    """By phase: p50, p99 and the most, in seconds."""

    @property
    def exit_code(self) -> int:
        """0: passed; 1: a violation; 3: inconclusive."""
        return 1 if self.violations else 3 if self.missing else 0

    def violate(self, kind: str, subject: str) -> None:
        """Count a violation, and keep its words."""
        self.counts[kind] += 1
        if self.counts[kind] <= 5:
            self.violations.append(f"{kind}: {subject}")


def check(run: Run, expected_nemeses: Iterable[str] = ()) -> Verdict:
    """Judge a run."""
    verdict = Verdict()
    finals = _finals(run)
    starts = _starts(run)
    _check_creates(run, finals, verdict)
    _check_beats(run, finals, verdict)
    _check_executions(run, starts, verdict)
    _check_cancels(run, verdict)
    _check_bounds(run, starts, verdict)
    _measure_lateness(run, starts, verdict)
    if run.left_over:
        verdict.violate("left over", f"{run.left_over} claims, waiting executions or due timers at the end")
    for fact in run.history:
        if fact["op"] == "error":
            verdict.violate("server error", f"{fact['status']}: {fact['answer']}")
        if fact["op"] == "refused":
            verdict.violate("refused", f"{fact['status']}: {fact['answer']}")
    _check_coverage(run, expected_nemeses, verdict)
    return verdict


def execution_of(row_id: str) -> str:
    """The execution of a ledger row: its id without the number of the attempt (see timers/domain/execution_id.py)."""
    return str(uuid.UUID(int=uuid.UUID(row_id).int & ~1023))


def instant_of(execution: str) -> float:
    """The instant of an execution, by its id."""
    bits = uuid.UUID(execution).int
    return (bits >> 80) / 1e3 + ((bits >> 66) & 0x3FF) / 1e6


def _finals(run: Run) -> dict[str, list[Facts]]:
    found = defaultdict(list)
    for row in run.ledger:
        if row["outcome"] in FINAL:
            found[row["name"]].append(row)
    return found


def _starts(run: Run) -> dict[str, list[Facts]]:
    found = defaultdict(list)
    for effect in sorted(run.effects, key=lambda fact: float(fact["t"])):
        if effect["phase"] == "start":
            found[effect["execution"]].append(effect)
    return found


def _check_creates(run: Run, finals: dict[str, list[Facts]], verdict: Verdict) -> None:
    cancelled = {fact["name"] for fact in run.history if fact["op"] == "cancel" and fact["type"] != "fail"}
    known = set()
    for fact in run.history:
        if fact["op"] == "beat":
            known.add(fact["name"])
        if fact["op"] != "create":
            continue
        name, result = fact["name"], fact["type"]
        verdict.counts[f"creates {result}"] += 1
        if result != "fail":
            known.add(name)
        outcomes = finals.get(name, [])
        if result == "info":
            verdict.counts["recovered" if outcomes else "absent"] += 1
        if result == "ok" and not outcomes and name not in cancelled:
            verdict.violate("lost", f"{name}, due at {fact['at']:.3f}, has no outcome")
        if len(outcomes) > 1:
            verdict.violate("two outcomes", f"{name}: {[row['outcome'] for row in outcomes]}")
    for name, outcomes in finals.items():
        verdict.counts.update(row["outcome"] for row in outcomes)
        if name not in known:
            verdict.violate("unexpected", f"{name}: {outcomes[0]['outcome']}")


def _check_beats(run: Run, finals: dict[str, list[Facts]], verdict: Verdict) -> None:
    for fact in run.history:
        if fact["op"] != "beat":
            continue
        found = Counter(round(row["scheduled_for"], 3) for row in finals.get(fact["name"], []))
        for instant, count in found.items():
            if count > 1:
                verdict.violate("two outcomes", f"{fact['name']} at {instant}: {count}")
        instant = fact["at"]
        while instant < run.created_until:
            verdict.counts["beats"] += 1
            if round(instant, 3) not in found:
                verdict.violate("missed beats", f"{fact['name']} at {instant:.3f}")
            instant += fact["period"]


def _check_executions(run: Run, starts: dict[str, list[Facts]], verdict: Verdict) -> None:
    attempts: Counter[str] = Counter()
    final: dict[str, Facts] = {}
    for row in run.ledger:
        execution = execution_of(row["id"])
        attempts[execution] += 1
        verdict.counts["attempts lost"] += row["outcome"] == "lost"
        if row["outcome"] in FINAL:
            final[execution] = row
    for execution, seen in starts.items():
        verdict.counts["starts"] += len(seen)
        verdict.counts["starts again"] += len(seen) - 1
        instant = instant_of(execution)
        if seen[0]["t"] < instant - EARLY_TOLERANCE:
            verdict.violate("early", f"{execution}: by {instant - seen[0]['t']:.4f} s")
        if len(seen) > attempts[execution]:
            verdict.violate("unexplained", f"{execution}: {len(seen)} starts, {attempts[execution]} attempts")
        fences = [effect["fence"] for effect in seen]
        if any(later <= earlier for earlier, later in pairwise(fences)):
            verdict.violate("fence order", f"{execution}: {fences}")
        end = final.get(execution)
        if end is None or end["fence"] is None:
            continue
        if end["outcome"] == "succeeded" and end["fence"] < max(fences):
            verdict.violate("stale", f"{execution}: succeeded under {end['fence']} though {max(fences)} had started")
        if seen[-1]["fence"] > end["fence"] and seen[-1]["t"] > end["finished_at"]:
            verdict.violate("stale", f"{execution}: started under {seen[-1]['fence']} after its outcome")


def _check_cancels(run: Run, verdict: Verdict) -> None:
    cancelled = {}
    for fact in run.history:
        if fact["op"] == "cancel":
            verdict.counts[f"cancels {fact['type']}"] += 1
            if fact["type"] == "ok" and not fact["in_flight"]:
                cancelled[fact["name"]] = fact["t"]
    for effect in run.effects:
        if effect["phase"] == "start" and effect["t"] > cancelled.get(effect["name"], float("inf")):
            verdict.violate("after cancel", f"{effect['name']} started after its cancel was acknowledged")


def _check_bounds(run: Run, starts: dict[str, list[Facts]], verdict: Verdict) -> None:
    ended = {(fact["execution"], fact["fence"]): fact["t"] for fact in run.effects if fact["phase"] == "end"}
    first_starts = sorted(fact["t"] for fact in run.effects if fact["phase"] == "start")
    for fact in run.nemeses:
        nemesis = fact["nemesis"]
        if fact["phase"] == "begin" and nemesis in RESTART_BOUNDS:
            worst = _longest_restart(fact["t"], set(fact["pids"]), starts, ended)
            verdict.restarts[nemesis] = max(worst, verdict.restarts.get(nemesis, 0.0))
            if worst > RESTART_BOUNDS[nemesis]:
                verdict.violate("slow restart", f"{nemesis}: {worst:.1f} s, the bound is {RESTART_BOUNDS[nemesis]} s")
        if fact["phase"] == "end" and any(fact.get("codes", ())):
            verdict.violate("exit code", f"{nemesis}: the nodes ended with {fact['codes']}")
        if fact["phase"] == "end" and nemesis in ("dbrestart", "disk"):
            after = next((start - fact["t"] for start in first_starts if start > fact["t"]), float("inf"))
            verdict.firing_again = max(verdict.firing_again, after)
            if after > FIRING_AGAIN_BOUND:
                verdict.violate("slow recovery", f"{nemesis}: firing again {after:.1f} s after the repair")


def _longest_restart(
    at: float, pids: set[int], starts: dict[str, list[Facts]], ended: dict[tuple[str, int], float]
) -> float:
    """Seconds from `at` to the next start of what ran in these processes then and was started again."""
    worst = 0.0
    for execution, seen in starts.items():
        for number, effect in enumerate(seen[:-1]):
            running = effect["pid"] in pids and effect["t"] < at
            if running and ended.get((execution, effect["fence"]), float("inf")) > at:
                worst = max(worst, seen[number + 1]["t"] - at)
    return worst


def _measure_lateness(run: Run, starts: dict[str, list[Facts]], verdict: Verdict) -> None:
    phases: dict[str, list[float]] = {"calm": [], "storm": []}
    for execution, seen in starts.items():
        instant = instant_of(execution)
        if seen[0]["kind"] != "pull":
            phases["calm" if instant < run.calm_until else "storm"].append(seen[0]["t"] - instant)
    for phase, values in phases.items():
        if values:
            verdict.lateness[phase] = _percentiles(sorted(values))


def _percentiles(values: Sequence[float]) -> tuple[float, float, float]:
    return values[len(values) // 2], values[min(len(values) - 1, int(len(values) * 0.99))], values[-1]


def _check_coverage(run: Run, expected: Iterable[str], verdict: Verdict) -> None:
    struck = Counter(fact["nemesis"] for fact in run.nemeses if fact["phase"] == "end")
    skipped = {fact["nemesis"]: fact["reason"] for fact in run.nemeses if fact["phase"] == "skipped"}
    for nemesis in expected:
        if not struck[nemesis]:
            verdict.missing.append(f"{nemesis} did not strike: {skipped.get(nemesis, 'no reason was recorded')}")
    for nemesis, seconds in verdict.restarts.items():
        if struck[nemesis] and not seconds:
            verdict.missing.append(f"{nemesis} hit nothing that was started again: its bound was not measured")
    if RESTART_BOUNDS.keys() & struck.keys() and not verdict.counts["attempts lost"]:
        verdict.missing.append("no attempt was lost: no fault hit anything in flight")
    replies = sum(fact.get("lost", 0) for fact in run.nemeses if fact["phase"] == "end")
    if struck["reply"] and not replies:
        verdict.missing.append("no reply was lost after a commit")
    verdict.counts["replies lost"] = replies
