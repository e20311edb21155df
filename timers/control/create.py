"""Create timers: one or ten thousand, with the same statement."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import nullcontext
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final, Literal, NamedTuple

from timers.control.call_back_replaced import call_back_replaced
from timers.control.change import record_skip
from timers.control.create_checks import Instants, plan, refuse_beyond_quotas
from timers.control.create_statement import KEYED, UNKEYED, arrays_of, arrays_of_redefined
from timers.control.created_entry import entry_of
from timers.control.debounce import check_debounce, debounced
from timers.control.groups import FoundGroups, look_up_groups
from timers.control.hold_groups import hold_to_write
from timers.control.key_settings import KeySettingsChanged, by_present_keys, key_setting, settings_of
from timers.control.limits import Limits, ManyUncomputed, within_limits
from timers.control.quotas import count_in
from timers.control.redefine import Redefined, changed_names, continued, is_unchanged, lock_living, redefine
from timers.control.spec import TimerSpec
from timers.database import connection, transaction
from timers.engine.arrays import plain_array, text_array
from timers.engine.cpu_budget import CpuBudget
from timers.engine.delete_finished import delete_finished
from timers.engine.group_clock import GroupClock
from timers.engine.recompute import done_among, is_done
from timers.engine.waiting_keys import follow_keys
from timers.engine.wakeup import wake_if_soon
from timers.exceptions import InvalidRequest, TimerExists
from timers.models import Timer, TimerGroup
from timers.schedules.limited import Uncomputed
from timers.schedules.shortest_interval import shortest_interval

OnConflict = Literal["reject", "replace", "keep"]
ON_CONFLICT: Final[tuple[OnConflict, ...]] = ("reject", "replace", "keep")


class Created(NamedTuple):
    """The result of one request."""

    id: int
    group: str
    name: str
    next_fire_at: datetime | None
    result: str
    """`created`, `replaced` or `kept`."""
    timer: Timer | None = None
    """The timer's row, if it was created alone: equal to the row read back from the database."""
    in_flight: tuple[str, ...] = ()
    """Executions of the replaced timer that had begun, or whose holder did not answer in time."""


_LIVING: Final = """
SELECT t.group_id, t.name, t.id, t.next_fire_at
FROM unnest(%s::bigint[], %s::text[]) AS u(group_id, name)
JOIN timers_timer t ON t.group_id = u.group_id AND t.name = u.name AND t.state IN ('active', 'paused')
"""


def create_timers(
    specs: Sequence[TimerSpec], *, on_conflict: str = "reject", actor: str = "", found: FoundGroups | None = None
) -> list[Created]:
    """Create timers: all or none.

    Args:
        specs: the timers.
        on_conflict: what to do if a living timer has the name. "reject" raises TimerExists. "replace" reuses its row: a
            running execution continues, and is listed in `in_flight`; one that is claimed but has not begun is called
            back. "keep" leaves the timer unchanged.
        actor: who requests it; empty: the current actor.
        found: the timers' groups, if they have just been read.

    Returns:
        One result for each timer, in the given order.

    Raises:
        InvalidRequest: a group or handler is unknown, or a schedule never fires.
        TimerExists: see `on_conflict`.
    """
    # With all or none, an error for any timer has been raised.
    return [each for each in _create(specs, on_conflict, actor, found, all_or_none=True) if isinstance(each, Created)]


def create_each(
    specs: Sequence[TimerSpec],
    *,
    on_conflict: str = "reject",
    actor: str = "",
    found: FoundGroups | None = None,
    budget: CpuBudget | None = None,
) -> list[Created | InvalidRequest]:
    """Create timers, each on its own: an error in one does not affect the others.

    Args:
        specs: the timers.
        on_conflict: as in create_timers.
        actor: who requests it; empty: the current actor.
        found: the timers' groups, if they have just been read.
        budget: CPU time that their schedules may use; timers for which nothing is left are rejected.

    Returns:
        The result or the error of each timer, in the given order.
    """
    return _create(specs, on_conflict, actor, found, all_or_none=False, budget=budget)


def _create(
    specs: Sequence[TimerSpec],
    on_conflict: str,
    actor: str,
    found: FoundGroups | None,
    *,
    all_or_none: bool,
    budget: CpuBudget | None = None,
) -> list[Created | InvalidRequest]:
    if on_conflict not in ON_CONFLICT:
        raise InvalidRequest("on_conflict", f"must be one of {', '.join(ON_CONFLICT)}", given=on_conflict)
    check_debounce(specs, on_conflict)
    names = {spec.group for spec in specs}

    def create(present: FoundGroups, limits: Limits) -> list[Created | InvalidRequest]:
        with nullcontext() if _is_one_statement(specs, on_conflict, present.groups) else transaction.atomic():
            became = _creating(specs, on_conflict, actor, present, limits, all_or_none=all_or_none, budget=budget)
            if all_or_none:
                for each in became:
                    if isinstance(each, InvalidRequest):
                        raise each
        return became

    def create_in_groups() -> list[Created | InvalidRequest]:
        nonlocal found
        present, found = found or look_up_groups(names), None
        present.check(names)
        return within_limits(partial(create, present))

    return by_present_keys(create_in_groups)


def _is_one_statement(specs: Sequence[TimerSpec], on_conflict: str, groups: Mapping[str, TimerGroup]) -> bool:
    """Return whether one statement, a transaction by itself, writes everything: opening one costs two round trips."""
    is_limited = any(group.max_timers is not None for group in groups.values())
    return len(specs) == 1 and on_conflict != "replace" and not is_limited


def _creating(
    specs: Sequence[TimerSpec],
    on_conflict: str,
    actor: str,
    found: FoundGroups,
    limits: Limits,
    *,
    all_or_none: bool,
    budget: CpuBudget | None,
) -> list[Created | InvalidRequest]:
    """Return the result or the error of each timer.

    With `all_or_none` nothing is written if an error is known before the write.
    """
    groups = found.groups
    in_flight: dict[tuple[int, str], list[str]] = {}
    settled: dict[tuple[int, str], Timer] = {}
    redefined: dict[tuple[int, str], Redefined] = {}
    if on_conflict != "replace":
        # Compute everything before the groups with quotas are locked.
        instants = Instants(groups.values(), specs)
        planned = plan(specs, groups, found.now, instants.first, budget=budget)
        held = hold_to_write(
            groups, [spec for spec, at in zip(specs, planned, strict=True) if isinstance(at, datetime)]
        )
    else:
        asked = specs
        specs = [debounced(spec, None, groups[spec.group], found.now) for spec in asked]
        changed = changed_names(specs, groups)
        _look_at_intervals(specs, set(changed), groups, found.now, budget)
        held = hold_to_write(groups, specs)
        if changed:
            in_flight = call_back_replaced(changed, [(groups[spec.group].id, spec.name) for spec in specs])
        living = lock_living(specs, groups)
        if living:
            was = [living.get((groups[spec.group].id, spec.name)) for spec in asked]
            specs = [
                continued(debounced(spec, row, groups[spec.group], found.now), row)
                for spec, row in zip(asked, was, strict=True)
            ]
            defined = {(groups[spec.group].id, spec.name): spec for spec in specs}
            settled = {key: row for key, row in living.items() if is_unchanged(defined[key], row)}
        instants = Instants(groups.values(), specs)
        lacking: list[Uncomputed] = []

        def first(spec: TimerSpec, now: datetime) -> datetime:
            key = groups[spec.group].id, spec.name
            if key in settled:
                return now
            if key in living:
                try:
                    redefined[key] = redefine(living[key], spec, instants.schedule(spec), now, limits)
                except Uncomputed as each:
                    lacking.append(each)
                    return now
                return redefined[key].due_at or now
            return instants.first(spec, now)

        planned = plan(specs, groups, found.now, first if living else instants.first, settled, budget)
        if lacking:
            raise ManyUncomputed(lacking, budget)
    refuse_beyond_quotas(specs, planned, held.values())
    wanted = [(spec, first) for spec, first in zip(specs, planned, strict=True) if isinstance(first, datetime)]
    if not wanted or (all_or_none and len(wanted) < len(specs)):
        return [each for each in planned if isinstance(each, InvalidRequest)]
    if settled:
        wanted = [(spec, first) for spec, first in wanted if (groups[spec.group].id, spec.name) not in settled]
    # Use one order, whatever the caller's, so that two bulk calls that replace the same timers never deadlock.
    wanted.sort(key=lambda each: (groups[each[0].group].id, each[0].name))
    written = _write(wanted, groups, instants, redefined, on_conflict == "replace", actor) if wanted else {}
    for group in held.values():
        new = [row for (group_id, _), row in written.items() if group_id == group.id and row.version == 1]
        count_in(group, len(new))
    is_taken = written.keys() | settled.keys()
    taken = [spec for spec, _ in wanted if (groups[spec.group].id, spec.name) not in is_taken]
    kept = _kept(taken, groups) if taken and on_conflict != "reject" else {}
    became: list[Created | InvalidRequest] = []
    for spec, first_at in zip(specs, planned, strict=True):
        key = groups[spec.group].id, spec.name
        if isinstance(first_at, InvalidRequest):
            became.append(first_at)
        elif key in written:
            row = written[key]
            result = "created" if row.version == 1 else "replaced"
            gone_on = tuple(in_flight.get(key, ()))
            became.append(Created(row.id, spec.group, spec.name, row.next_fire_at, result, in_flight=gone_on))
        elif key in settled:
            became.append(Created(settled[key].id, spec.group, spec.name, settled[key].next_fire_at, "replaced"))
        elif key in kept:
            became.append(Created(kept[key][0], spec.group, spec.name, kept[key][1], "kept"))
        else:
            words = f'is taken in group {spec.group}; use on_conflict="replace" or "keep"'
            became.append(TimerExists("name", words, given=spec.name))
    if len(specs) == 1 and isinstance(became[0], Created) and became[0].result == "created":
        became = [_with_row(became[0], specs[0], groups[specs[0].group], next(iter(written.values())).at, actor)]
    wake_if_soon([first for _, first in wanted], found.now)
    return became


def _look_at_intervals(
    specs: Sequence[TimerSpec],
    changed: Collection[tuple[int, str]],
    groups: Mapping[str, TimerGroup],
    now: datetime,
    budget: CpuBudget | None,
) -> None:
    """Compute how often new schedules fire, for groups that limit it, before rows are locked."""
    for spec in specs:
        group = groups[spec.group]
        if group.min_interval is not None and spec.schedule.recurring and (group.id, spec.name) in changed:
            shortest_interval(spec.schedule, GroupClock.of(group).moment(now))
            if budget is not None:
                budget.charge()
                if budget.is_spent:
                    break


class _Row(NamedTuple):
    """A row that was written."""

    id: int
    next_fire_at: datetime
    version: int
    at: datetime


def _write(
    wanted: Sequence[tuple[TimerSpec, datetime]],
    groups: Mapping[str, TimerGroup],
    instants: Instants,
    redefined: Mapping[tuple[int, str], Redefined],
    replace: bool,
    actor: str,
) -> dict[tuple[int, str], _Row]:
    """Write all timers in one statement. Return the rows by group id and name, without those whose name is taken."""
    specs = [spec for spec, _ in wanted]
    before = next(iter(redefined.values())).was if len(specs) == 1 and redefined else None
    wanted_groups = {groups[spec.group].id: groups[spec.group] for spec in specs}
    is_keyed = any(key_setting(group) is not None for group in wanted_groups.values())
    statements = KEYED if is_keyed else UNKEYED
    shared = {"actor": actor, **entry_of(specs, actor, before), "replace": replace}
    if is_keyed:
        shared |= settings_of(wanted_groups.values())
    with connection.cursor() as cursor:
        if redefined:
            new = [each for each in wanted if (groups[each[0].group].id, each[0].name) not in redefined]
            cursor.execute(
                statements.replace, {**shared, **arrays_of(new, groups), **arrays_of_redefined(redefined, groups)}
            )
        else:
            cursor.execute(statements.insert, {**shared, **arrays_of(wanted, groups)})
        rows = cursor.fetchall()
    if any(timer is None for timer, *_ in rows):
        raise KeySettingsChanged(wanted_groups)
    if is_keyed and redefined:
        follow_keys(each.was.id for each in redefined.values())
    _record_given_up(redefined.values(), groups)
    specs_by_key = {(groups[spec.group].id, spec.name): spec for spec in specs}
    done = _done_of(rows, specs_by_key, redefined)
    written: dict[tuple[int, str], _Row] = {}
    for timer, group_id, name, due, last, version, at in rows:
        key = group_id, name
        if timer in done or (last is not None and key not in redefined and due - specs_by_key[key].offset <= last):
            nominal = due - specs_by_key[key].offset
            past = nominal if last is None else max(nominal, last)
            written[key] = _Row(timer, _unrepeated(instants, specs_by_key[key], timer, past), version, at)
        else:
            written[key] = _Row(timer, due, version, at)
    delete_finished([each.was.id for each in redefined.values() if each.ends])
    return written


def _record_given_up(redefined: Iterable[Redefined], groups: Mapping[str, TimerGroup]) -> None:
    """Record instants that have passed and that the timers' new schedules no longer contain."""
    names = {group.id: group.name for group in groups.values()}
    for each in redefined:
        if each.given_up is not None:
            each.was.group = groups[names[each.was.group_id]]
            record_skip(each.was, each.given_up.latest, "edited", beside=each.given_up.count - 1)


def _done_of(
    rows: Sequence[tuple[Any, ...]],
    specs: Mapping[tuple[int, str], TimerSpec],
    redefined: Mapping[tuple[int, str], Redefined],
) -> set[int]:
    """Return the timers whose next instant already has a final row in the ledger: a person skipped it."""
    found: list[tuple[int, datetime]] = []
    for timer, group_id, name, due, _, version, _ in rows:
        key = group_id, name
        if redefined[key].is_recomputed if key in redefined else version > 1:
            found.append((timer, due - specs[key].offset))
    return done_among(found)


def _kept(specs: Sequence[TimerSpec], groups: Mapping[str, TimerGroup]) -> dict[tuple[int, str], tuple[int, datetime]]:
    """Return the id and the next instant of the timers that were left unchanged, by group id and name."""
    group_ids, names = (groups[spec.group].id for spec in specs), (spec.name for spec in specs)
    with connection.cursor() as cursor:
        cursor.execute(_LIVING, (plain_array(group_ids), text_array(names)))
        return {(group_id, name): (timer, next_fire_at) for group_id, name, timer, next_fire_at in cursor.fetchall()}


def _with_row(created: Created, spec: TimerSpec, group: TimerGroup, at: datetime, actor: str) -> Created:
    """Return the result with the row that was written, for a caller that created one timer."""
    timer = Timer(
        id=created.id, group=group, name=created.name, next_fire_at=created.next_fire_at, source=spec.source,
        shard=spec.shard(group.shards), created_at=at, created_by=actor, updated_at=at, updated_by=actor,
    )  # fmt: skip
    spec.write_to(timer)
    return created._replace(timer=timer)


def _unrepeated(instants: Instants, spec: TimerSpec, timer: int, past: datetime) -> datetime:
    """Move a replaced timer to its first instant after `past`, and return when it is due.

    Args:
        instants: computes first instants.
        spec: the timer.
        timer: id of the timer.
        past: nominal instant that was fired, possibly ahead of time, or skipped.
    """
    while True:
        least = past + timedelta(microseconds=1)
        past = max(instants.first(spec, least) - spec.offset, least)
        if not is_done(timer, past):
            break
    with connection.cursor() as cursor:
        cursor.execute("UPDATE timers_timer SET next_fire_at = %s WHERE id = %s", (past + spec.offset, timer))
    return past + spec.offset
