"""Reconcile: make the timers of a source match its declarations, and keep what people changed.

Three states are compared field by field: the last declaration (Timer.declared), the present declaration, and the row. A
field whose declaration changed is written; a field that was edited by hand is kept as long as its declaration does not
change. A timer that is no longer declared is paused, never deleted.

Reconciling the same declarations again changes nothing.

Several programs can share one database. Each timer belongs to the program (its owner) that declares it, and a program
changes only its own timers; a name that two programs declare is a conflict. A timer from before programs had names has
no owner; the first program that declares it becomes its owner.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from typing import Any, Final

from timers import clock, conf, handlers
from timers.control.action_checks import check_action_of_timer
from timers.control.audit import audited
from timers.control.chains.reconcile import ChainsOfSource
from timers.control.change import pause_timer, resume_timer, update_timer
from timers.control.create import create_timers
from timers.control.declaration import CODE, Declaration, Declared
from timers.control.difference import FieldChange, edits
from timers.control.groups import create_group, find_groups, new_group, note_order_priorities
from timers.control.hold_groups import hold_to_write
from timers.control.spec import TimerSpec
from timers.control.sync_plan import LIVING, Plan, is_over, paused_because, plan_declared, plan_undeclared
from timers.control.sync_report import VERBS, Entry, Reconciled, Verb
from timers.database import connection, transaction
from timers.domain.errors import ErrorCollector
from timers.engine.advance import lock_timers
from timers.engine.events import record
from timers.engine.group_clock import nows_in
from timers.engine.group_lock import hold_groups
from timers.engine.nodes import handlers_elsewhere
from timers.exceptions import InvalidRequest
from timers.models import ClusterEvent, Timer, TimerGroup

EVENT: Final = "declared timers reconciled"

Key = tuple[str, str]
"""Group and name."""


def reconcile(
    declared: Declared,
    *,
    owner: str | None = None,
    take_over: str = "",
    node: str = "",
    dry_run: bool = False,
    actor: str = "",
) -> Reconciled:
    """Create, update, pause and resume timers, and chains, until they match the declarations; all or nothing.

    Runs for the same source of a program are serialized: the second one finds nothing to do.

    Args:
        declared: the declarations of the source.
        owner: the program that declares; None: TIMERS_DECLARATION_OWNER.
        take_over: another program (this one's previous name) whose timers of this source are assigned to this one
            first.
        node: name of the node that reconciles, for the cluster's events.
        dry_run: whether to report the changes and then roll them back.
        actor: who requests it; empty: the node, else the current actor.

    Returns:
        The report.

    Raises:
        InvalidRequest: a declaration is invalid; all errors are named.
    """
    mistakes = ErrorCollector()
    specs = mistakes.check(declared.specs, {})
    definitions = mistakes.check(declared.definitions, {})
    mistakes.raise_if_any()
    owner = conf.current().declaration_owner if owner is None else owner
    with audited("declaration.reconcile", actor or (f"node {node}" if node else ""), name=declared.source) as entry:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_advisory_xact_lock(hashtext('timers reconcile'), hashtext(%s))",
                (f"{owner} {declared.source}",),
            )
        elsewhere = _handlers_elsewhere if declared.source == CODE else frozenset
        chains = ChainsOfSource(declared.source, owner, definitions, elsewhere, take_over=take_over)
        names = {group for group, _ in specs} | {group for group, _ in definitions}
        groups = {group.name: group for group in TimerGroup.objects.filter(name__in=names)}
        marked = chains.groups_to_mark()
        hold_to_write(
            groups,
            [spec for _, spec in specs.values() if spec.group in groups],
            also={group for group, _ in definitions},
        )
        for group in marked:
            note_order_priorities(group)
        hold_groups(group.id for group in groups.values())
        if take_over:
            # All timers that this run may change, so that none of a lower id is locked after these.
            theirs_and_ours = Timer.objects.filter(source=declared.source, owner__in=("", owner, take_over))
            lock_timers(theirs_and_ours.values_list("id", flat=True))
            Timer.objects.filter(owner=take_over, source=declared.source).update(owner=owner)
        report = _Pass(declared, specs, owner, chains).run()
        if dry_run or not report.wrote:
            entry.nothing()
        entry.many(**{verb: getattr(report, verb) for verb, _ in VERBS if getattr(report, verb)})
        if dry_run:
            transaction.set_rollback(True)
        elif not report.empty:
            _record(report, node)
    return report


class _Pass:
    """One pass over the timers of a program's source, within its transaction."""

    def __init__(
        self,
        declared: Declared,
        specs: dict[Key, tuple[Declaration, TimerSpec]],
        owner: str,
        chains: ChainsOfSource,
    ) -> None:
        self._source = declared.source
        self._owner = owner
        self._groups = declared.groups
        self._specs = specs
        self._chains = chains
        self._told: dict[Verb, list[Entry]] = {}

    def run(self) -> Reconciled:
        self._ensure_groups()
        self._chains.create()  # before timers, which may be orders of them
        taken = self._taken_names()
        rows = self._rows()
        todo = {key: row for key, row in rows.items() if key not in taken and self._plan(key, row)}
        # Only these are locked, and planned again: a person may have changed them meanwhile.
        for row in _locked([row.id for row in todo.values()]):
            self._carry_out(self._plan(_key(row), row), row)
        self._create([key for key in self._specs if key not in rows and key not in taken])
        self._chains.change()  # last: chains are locked after timers
        named = {(entry.group, entry.name) for entries in self._told.values() for entry in entries}
        unchanged = sum(key in rows and key not in named for key in self._specs) + self._chains.unchanged
        for verb, entry in self._chains.told:
            self._tell(verb, entry)
        told = {verb: tuple(sorted(entries, key=str)) for verb, entries in self._told.items()}
        return replace(Reconciled(self._source, unchanged=unchanged, owner=self._owner), **told)  # type: ignore[arg-type]

    def _ensure_groups(self) -> None:
        """Create the groups that are missing. An existing one is left unchanged, and reported if it differs."""
        problems: list[InvalidRequest] = []
        for declaration in self._groups:
            try:
                wanted = new_group(**declaration.keywords)
                existing = TimerGroup.objects.filter(name=wanted.name).first()
                if existing is None:
                    create_group(**declaration.keywords, actor=self._source)
                    self._tell("created", Entry(wanted.name, ""))
                elif changes := _group_changes(existing, wanted, sorted(set(declaration.keywords) - {"name"})):
                    self._tell("kept", Entry(wanted.name, "", "an existing group is left as it is", changes))
            except InvalidRequest as error:
                problems.append(declaration.located(error))
        if problems:
            raise InvalidRequest.combined(problems)

    def _rows(self) -> dict[Key, Timer]:
        """Return the timers of the source: of each name the living one, else the one that ended last.

        A timer without an owner is adopted if it is declared here; otherwise its owner is unknown.
        """
        rows: dict[Key, Timer] = {}
        adopted: list[int] = []
        mine = Timer.objects.filter(source=self._source, owner__in=("", self._owner))
        known = list(mine.select_related("group").order_by("id"))
        for row in known:
            if not row.owner:
                if _key(row) not in self._specs:
                    if row.state == Timer.State.ACTIVE:
                        why = f"{paused_because(self._source)}, but it has no owner: pause or cancel it"
                        self._tell("kept", Entry(*_key(row), why))
                    continue
                row.owner = self._owner
                adopted.append(row.id)
            if _key(row) not in rows or rows[_key(row)].state not in LIVING:
                rows[_key(row)] = row
        if adopted:
            lock_timers(row.id for row in known)
            Timer.objects.filter(id__in=adopted).update(owner=self._owner)
        return rows

    def _taken_names(self) -> set[Key]:
        """Return declared names that belong to living timers which are not declared here."""
        theirs = Timer.objects.filter(
            state__in=LIVING,
            group__name__in={group for group, _ in self._specs},
            name__in={name for _, name in self._specs},
        ).exclude(source=self._source, owner__in=("", self._owner))
        taken: set[Key] = set()
        for group, name, source, owner in theirs.values_list("group__name", "name", "source", "owner"):
            if (group, name) in self._specs:
                taken.add((group, name))
                why = f"is declared in {source}" if source else "was not made from a declaration"
                if owner not in ("", self._owner):
                    why += f" of the program {owner!r}; this is {self._owner!r}"
                self._tell("conflicts", Entry(group, name, f"a timer of that name exists, which {why}"))
        return taken

    def _plan(self, key: Key, row: Timer) -> Plan:
        if key not in self._specs:
            return plan_undeclared(row, self._lives_elsewhere)
        return plan_declared(row, *self._specs[key], self._nows[row.group.name])

    def _carry_out(self, plan: Plan, row: Timer) -> None:
        key = _key(row)
        in_flight: Sequence[str] = ()
        if plan.move == "pause":
            paused = pause_timer(*key, reason=paused_because(self._source), actor=self._source)
            in_flight = paused.in_flight
            # It no longer has a declaration; if a person resumes it, it is not paused again.
            Timer.objects.filter(id=row.id).update(declared=None)
        elif plan.move == "forget":
            # It has ended: if it is declared again, a new timer is created.
            Timer.objects.filter(id=row.id).update(source="", owner="", declared=None)
        elif key in self._specs:
            in_flight = self._write(plan, row, *self._specs[key])
        for verb, entry in plan.entries:
            self._tell(verb, entry if verb == "kept" else replace(entry, in_flight=tuple(in_flight)))

    def _write(self, plan: Plan, row: Timer, declaration: Declaration, spec: TimerSpec) -> Sequence[str]:
        """Write the timer. Return the executions for which the change came too late."""
        in_flight: Sequence[str] = ()
        changes = edits(spec, [*plan.write, *(["schedule"] if plan.move else [])])
        try:
            if changes:
                # A timer that is declared again continues from now: instants in between do not count as missed.
                updated = update_timer(spec.group, spec.name, actor=self._source, restarts=bool(plan.move), **changes)
                in_flight = updated.in_flight
        except InvalidRequest as error:
            raise declaration.located(error) from None
        if plan.move == "resume":
            resume_timer(spec.group, spec.name, actor=self._source)
        elif plan.move == "revive" and "schedule" not in plan.write:
            Timer.objects.filter(id=row.id).update(fire_count=row.fire_count)
        if plan.note:
            row.declared = declaration.as_kept()
            row.save(update_fields=["declared"])
        return in_flight

    def _create(self, keys: Sequence[Key]) -> None:
        specs: list[TimerSpec] = []
        problems: list[InvalidRequest] = []
        groups = self._groups_by_name({group for group, _ in keys})
        for key in keys:
            declaration, spec = self._specs[key]
            if is_over(spec, self._nows[spec.group]):
                self._tell("over", Entry(*key, "no instant is left at which it could fire"))
                continue
            try:
                self._check(spec, groups)
            except InvalidRequest as error:
                problems.append(declaration.located(error))
            specs.append(replace(spec, source=self._source, declared=declaration.as_json()))
        if problems:
            raise InvalidRequest.combined(problems)
        if specs:
            made = create_timers(specs, actor=self._source)
            Timer.objects.filter(id__in=[created.id for created in made]).update(owner=self._owner)
            for created in made:
                spec = self._specs[created.group, created.name][1]
                self._tell("created", Entry(created.group, created.name, spec.schedule.describe()))

    def _check(self, spec: TimerSpec, groups: dict[str, TimerGroup]) -> None:
        """Raise the errors that create_timers would raise too, so that they can be reported with their place."""
        if spec.group not in groups:
            find_groups([spec.group])
        group = groups[spec.group]
        check_action_of_timer(spec.action, group)
        limited = spec.schedule.kind == "once" or spec.max_fires is not None or spec.until_committed
        if limited and spec.policies(group.policies()).on_finish == "delete":
            raise InvalidRequest(
                "overrides.on_finish",
                'of a declared timer that ends must be "keep": once deleted, it would be made again',
            )

    @cached_property
    def _nows(self) -> dict[str, datetime]:
        """The current times of the declared groups: a sandbox has its own clock."""
        return nows_in({group for group, _ in self._specs})

    def _groups_by_name(self, names: set[str]) -> dict[str, TimerGroup]:
        return {group.name: group for group in TimerGroup.objects.filter(name__in=names)}

    def _lives_elsewhere(self, row: Timer) -> bool:
        action = row.action or row.group.action
        handler = action.get("handler") if isinstance(action, dict) else None
        return self._source == CODE and handler in self._handlers_elsewhere

    @cached_property
    def _handlers_elsewhere(self) -> frozenset[str]:
        return _handlers_elsewhere()

    def _tell(self, verb: Verb, entry: Entry) -> None:
        self._told.setdefault(verb, []).append(entry)


def _handlers_elsewhere() -> frozenset[str]:
    """Return handlers that other live nodes know and this process does not."""
    return frozenset(handlers_elsewhere(handlers.names()))


def _key(row: Timer) -> Key:
    return row.group.name, row.name


def _locked(ids: Sequence[int]) -> list[Timer]:
    # By ascending id, the order of all timer locks, so that no deadlock arises.
    rows = Timer.objects.filter(id__in=ids).select_related("group").order_by("id")
    return list(rows.select_for_update(of=("self",)))


def _group_changes(existing: TimerGroup, wanted: TimerGroup, names: Sequence[str]) -> tuple[FieldChange, ...]:
    def plain(group: TimerGroup, name: str) -> Any:
        value = getattr(group, name)
        return list(value) if isinstance(value, tuple) else value

    return tuple(
        FieldChange(name, str(plain(wanted, name)), str(plain(existing, name)))
        for name in names
        if plain(wanted, name) != plain(existing, name)
    )


def _record(report: Reconciled, node: str) -> None:
    """Record the report as a cluster event; an unchanged report without writes is recorded once, not at each start."""
    if not report.wrote:
        last = ClusterEvent.objects.filter(kind=EVENT, detail__startswith=f"{report.source}: ").order_by("-id").first()
        if last is not None and last.detail == report.words:
            return
    record(EVENT, node, report.words, clock.now())
