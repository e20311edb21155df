"""Plan what a reconcile does with one timer that it created before. Pure: depends on the row and declaration only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from timers.control.declaration import Declaration
from timers.control.difference import (
    RULE,
    FieldChange,
    Values,
    changed,
    in_words,
    values_of_row,
    values_of_spec,
)
from timers.control.spec import TimerSpec
from timers.control.sync_report import Entry, Verb
from timers.exceptions import InvalidRequest
from timers.models import Timer

LIVING: Final = (Timer.State.ACTIVE, Timer.State.PAUSED)


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do with a timer, and what to report; empty: nothing."""

    entries: tuple[tuple[Verb, Entry], ...] = ()
    write: tuple[str, ...] = ()
    """Fields to set to their declared values."""
    move: Literal["", "pause", "resume", "revive", "forget"] = ""
    note: bool = False
    """Whether to store the declaration with the timer."""

    def __bool__(self) -> bool:
        return bool(self.entries or self.write or self.move or self.note)


def paused_because(source: str) -> str:
    """Return the reason of a timer that is paused because it is no longer declared."""
    return f"no longer declared in {source}"


def is_over(spec: TimerSpec, now: datetime) -> bool:
    """Return whether no instant is left at which the timer could fire."""
    first = spec.schedule.first(now if spec.start_at is None else max(now, spec.start_at))
    return first is None or (spec.end_at is not None and first > spec.end_at)


def plan_declared(row: Timer, declaration: Declaration, spec: TimerSpec, now: datetime) -> Plan:
    """Return the plan for a timer that is declared."""
    entry = Entry(spec.group, spec.name)
    if row.state == Timer.State.CANCELLED:
        by = f" by {row.state_changed_by}" if row.state_changed_by else ""
        return Plan((("kept", Entry(spec.group, spec.name, f"cancelled{by}; it is declared, but stays cancelled")),))
    wanted, is_as_kept = values_of_spec(spec), row.declared == declaration.as_kept()
    held, base = values_of_row(row), wanted if is_as_kept else _declared_last(row)
    fresh = changed(held if base is None else base, wanted)
    by_hand = set() if base is None else set(changed(base, held))
    write = [name for name in fresh if held[name] != wanted[name]]
    if "schedule" in write and held["time_zone"] != wanted["time_zone"]:
        write.append("time_zone")  # the rule is interpreted in its time zone
    write = list(dict.fromkeys(write))
    kept = sorted(by_hand - set(fresh) - set(write)) if row.state in LIVING else []
    entries: list[tuple[Verb, Entry]] = []
    move: Literal["", "resume", "revive"] = ""
    if row.state == Timer.State.PAUSED and row.state_reason == paused_because(row.source):
        if is_over(spec, now):
            return Plan()
        move = "resume"
        entries.append(("resumed", entry))
    elif row.state == Timer.State.FINISHED and RULE & set(write):
        if is_over(spec, now):
            write, move = [name for name in write if name not in RULE], ""
        elif "schedule" in write or spec.max_fires is None or spec.max_fires > row.fire_count:
            move = "revive"
    if write:
        changes = tuple(
            FieldChange(name, in_words(name, held), in_words(name, wanted), edited=name in by_hand) for name in write
        )
        why = "fires again" if move == "revive" else ""
        entries.append(("updated", Entry(spec.group, spec.name, why, changes)))
    if kept:
        changes = tuple(FieldChange(name, in_words(name, wanted), in_words(name, held), edited=True) for name in kept)
        entries.append(("kept", Entry(spec.group, spec.name, "edited by hand", changes)))
    return Plan(tuple(entries), tuple(write), move, note=not is_as_kept)


def plan_undeclared(row: Timer, lives_elsewhere: Callable[[Timer], bool]) -> Plan:
    """Return the plan for a timer that is no longer declared.

    Args:
        row: the timer.
        lives_elsewhere: returns whether only other live nodes know its handler. These run other code, and may declare
            it.
    """
    group, name = row.group.name, row.name
    if row.state not in LIVING:
        return Plan(move="forget")
    if row.state == Timer.State.PAUSED:
        return Plan()
    if row.declared is None:
        return Plan((("kept", Entry(group, name, f"{paused_because(row.source)}, but resumed by hand")),))
    if lives_elsewhere(row):
        why = f"{paused_because(row.source)} here, but only other living nodes know its handler"
        return Plan((("kept", Entry(group, name, why)),))
    return Plan((("paused", Entry(group, name, paused_because(row.source))),), move="pause")


def _declared_last(row: Timer) -> Values | None:
    """Return the values of the declaration stored with the timer; None if there is none, or it cannot be read."""
    if not isinstance(row.declared, dict):
        return None
    try:
        return values_of_spec(Declaration(row.declared, "").spec())
    except InvalidRequest:
        return None
