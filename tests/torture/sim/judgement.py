"""Judgement: what must hold once the faults are over and everything has come to rest."""

from __future__ import annotations

from collections import defaultdict

from tests.torture.sim.records import Fail, Records
from tests.torture.sim.snapshot import Ended, Snapshot, parse
from timers.schedules.instant import to_microseconds


def judge(records: Records, last: Snapshot) -> None:
    """Compare what was acknowledged with what the tables say at the end."""
    fail: Fail = records.fail
    finals: dict[str, list[Ended]] = defaultdict(list)
    ended: set[str] = set(last.waiting)
    names = {timer_id: name for timer_id, (name, _, _) in last.timers.items()}
    failed: dict[str, dict[int, int]] = defaultdict(dict)
    for execution, stands_for in last.failed.items():
        occurrence = parse(execution)
        if occurrence.origin == "schedule":
            failed[names[occurrence.timer_id]][occurrence.scheduled_us] = stands_for
    for final in last.finals:
        ended.add(final.execution)
        if parse(final.execution).origin == "schedule":
            finals[final.name].append(final)
    for name, timer in records.timers.items():
        instants = [parse(final.execution).scheduled_us for final in finals[name]] + list(failed[name])
        if timer.created == "fail" and instants:
            fail("lost", f"{name} was refused and has run")
        if timer.created != "ok" or timer.is_cancelled:
            continue
        if timer.at is not None:
            if not instants:
                fail("lost", f"{name}, due at {timer.at.isoformat()}, has no outcome")
            if not timer.is_changed and instants != [to_microseconds(timer.at)]:
                fail("lost", f"{name}, due at {timer.at.isoformat()}, has outcomes at {instants}")
        elif timer.expected is not None and not timer.is_changed:
            if timer.counts_fires:
                count = len(failed[name]) + sum(final.outcome != "skipped" for final in finals[name])
            else:
                missed = [*failed[name].values(), *(final.missed for final in finals[name])]
                count = len(missed) + sum(missed)
            if count != timer.expected:
                fail("lost", f"{name}: {count} of {timer.expected} instants are accounted for")
    for execution, name in records.runs.items():
        if execution not in ended and not records.timers[name].is_cancelled:
            fail("lost", f"run {execution} of {name} has no outcome")
