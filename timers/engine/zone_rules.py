"""New time zone rules: governments change their clocks, which makes precomputed next instants wrong.

Each node has the rules of its machine (or of the tzdata package) and publishes their edition. The first node with a
newer edition than all before recomputes the next instants of all timers on wall clocks. Live nodes with older rules
continue to compute by them; when the last of them has gone, the instants are recomputed once more.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from timers import clock
from timers.engine.events import record
from timers.engine.one_at_a_time import one_at_a_time
from timers.engine.recompute import Recomputed, recompute
from timers.models import Node, Timer, ZoneRules
from timers.schedules import KINDS
from timers.schedules.zones import edition, is_newer_edition

EVENT: Final = "time zone rules"


@dataclass(frozen=True, slots=True)
class Applied:
    """New rules that were applied."""

    before: str
    edition: str
    recomputed: Recomputed

    @property
    def words(self) -> str:
        """The result as text: 2025b -> 2026b: 12 of 3,400 timers moved (...)."""
        step = f"{self.before} -> {self.edition}" if self.before != self.edition else f"{self.edition} once more"
        return f"{step}: {self.recomputed.words}"


def apply_zone_rules(node: str) -> Applied | None:
    """Recompute next instants if this process has newer rules than all before; return None when there is nothing to do.

    Every node attempts it, one does it. The first edition of an installation is only recorded.
    """
    ours = edition()
    with one_at_a_time("timers zone rules") as mine:
        if not mine:
            return None
        known = ZoneRules.objects.first()
        if known is None:
            ZoneRules.objects.create(edition=ours, applied_at=clock.now())
            return None
        is_newer = is_newer_edition(ours, known.edition)
        if not is_newer and not (ours == known.edition and _older_nodes_have_gone(ours, known.applied_at)):
            return None
        started_at = clock.now()
        elapsed = [kind for kind, schedule in KINDS.items() if not schedule.follows_wall_clock]
        done = recompute(Timer.objects.exclude(schedule_kind__in=elapsed))
        applied = Applied(known.edition, ours, done)
        known.edition, known.applied_at, known.timers_moved = ours, started_at, done.moved
        known.save()
        if is_newer or done.moved:
            record(EVENT, node, applied.words, clock.now())
    return applied


def _older_nodes_have_gone(ours: str, since: datetime) -> bool:
    """Whether nodes with older rules lived after the rules were applied, and none lives now."""
    nodes = Node.objects.exclude(zone_rules="").exclude(zone_rules=ours)
    older = [
        (state, ended_at)
        for rules, state, ended_at in nodes.values_list("zone_rules", "state", "ended_at")
        if is_newer_edition(ours, rules)
    ]
    if any(state in Node.LIVE for state, _ in older):
        return False
    return any(ended_at is not None and ended_at > since for _, ended_at in older)
