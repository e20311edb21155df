"""Reconcile chains: make the chains of a source match its declarations, and keep what people changed.

The version that was declared last is stored with the chain. A changed declaration becomes a new version; an unchanged
one creates none, even if a person has defined another version since. A chain that is no longer declared is stopped,
never deleted.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from django.db.models import F, QuerySet

from timers.control.chains.define import create_chain, update_chain
from timers.control.chains.find import lock_chain, lock_chains
from timers.control.chains.steps import set_chain_state
from timers.control.declaration import Declaration
from timers.control.difference import FieldChange
from timers.control.sync_report import Entry, Verb
from timers.domain.chains import Chain as Definition
from timers.domain.chains import parse_chain
from timers.domain.chains.diff import Change, diff
from timers.domain.chains.steps import ActionStep
from timers.domain.chains.sub_chains import names_of_sub_chains
from timers.exceptions import InvalidRequest, TimersError
from timers.models import Chain, ChainVersion, TimerGroup

Key = tuple[str, str]
"""Group and name."""
_SHOWN: Final = 100
"""Maximum number of characters of a value that are shown."""
_UPDATED: Final[Verb] = "updated"
_STARTED: Final[Verb] = "started"


class ChainsOfSource:
    """One pass over the chains of a program's source, within the transaction of the reconcile.

    Args:
        source: What declares: CODE, or a file.
        owner: The program that declares.
        definitions: The declared chains.
        handlers_elsewhere: Returns the handlers that other live nodes know and this program does not: such a node may
            declare the chains that call them.
        take_over: Another program, whose chains of this source are assigned to this one; empty: none.
    """

    def __init__(
        self,
        source: str,
        owner: str,
        definitions: Mapping[Key, tuple[Declaration, Definition]],
        handlers_elsewhere: Callable[[], Collection[str]] = frozenset,
        *,
        take_over: str = "",
    ) -> None:
        self._source = source
        self._predecessor = take_over
        self._owner = owner
        self._definitions = definitions
        self._handlers_elsewhere = handlers_elsewhere
        self._because = f"no longer declared in {source}"
        self.told: list[tuple[Verb, Entry]] = []
        """Entries of the report: changes made, and what was left unchanged."""
        self.unchanged = 0
        """Number of declared chains that needed no change."""
        self._created: set[Key] = set()

    def groups_to_mark(self) -> list[TimerGroup]:
        """Return the groups whose orders get priorities and that are not marked so yet, by rising id."""
        rows = TimerGroup.objects.filter(name__in={group for group, _ in self._definitions}, orders_by_priority=False)
        prioritized = {group for (group, _), (_, definition) in self._definitions.items() if definition.priority}
        return [row for row in rows.order_by("id") if row.name in prioritized or any(row.timer_priorities)]

    def create(self) -> None:
        """Create the declared chains that are missing. Raise InvalidRequest for all that are invalid."""
        names = {(group, name) for group, name in self._named().values_list("group__name", "name")}
        problems: list[InvalidRequest] = []
        for group, name in self._inner_first():
            declaration, definition = self._definitions[group, name]
            if (group, name) in names:
                continue
            try:
                chain = create_chain(group, name, definition.to_json(), actor=self._source)
            except InvalidRequest as error:
                problems.append(declaration.located(error))
                continue
            Chain.objects.filter(id=chain.id).update(source=self._source, owner=self._owner, declared_version=1)
            self._created.add((group, name))
            self._tell("created", chain, why=_in_words(definition))
        if problems:
            raise InvalidRequest.combined(problems)

    def _inner_first(self) -> list[Key]:
        """Return the declared chains, each after those that it contains, if such an order exists."""
        found: dict[Key, None] = {}

        def visit(key: Key, path: tuple[Key, ...]) -> None:
            if key in found or key in path or key not in self._definitions:
                return
            for inner in sorted(names_of_sub_chains(self._definitions[key][1])):
                visit((key[0], inner), (*path, key))
            found[key] = None

        for key in self._definitions:
            visit(key, ())
        return list(found)

    def change(self) -> None:
        """Add versions to the chains whose declaration changed, stop and start chains. Raise InvalidRequest.

        Only chains that are changed are locked, all of them before the first change, by rising id.
        """
        if self._predecessor:
            theirs = Chain.objects.filter(source=self._source, owner=self._predecessor)
            taken = list(theirs.values_list("id", flat=True))
            own = Chain.objects.filter(source=self._source, owner=self._owner)
            lock_chains([*taken, *(self._named() | own).values_list("id", flat=True)])
            theirs.filter(id__in=taken).update(owner=self._owner)
        problems: list[InvalidRequest] = []
        found = self._named() | Chain.objects.filter(source=self._source, owner=self._owner)
        rows = {(row.group.name, row.name): row for row in found.select_related("group").order_by("id")}
        outdated: dict[Key, Chain] = {}
        for key, row in rows.items():
            if key in self._created:
                continue
            if (row.source, row.owner) != (self._source, self._owner):
                self._tell("conflicts", row, why=self._why_taken(row))
            elif key not in self._definitions:
                if row.declared_version is not None and not self._is_kept_elsewhere(row):
                    outdated[key] = row
            elif not self._is_as_declared(row, self._definitions[key][1]):
                outdated[key] = row
        lock_chains(row.id for row in outdated.values())
        # Inner chains first: a chain is checked with the newest versions of those that it contains, and two chains may
        # have swapped their definitions.
        for key in [key for key in self._inner_first() if key in outdated]:
            declaration, definition = self._definitions[key]
            try:
                self._update(outdated.pop(key), definition)
            except InvalidRequest as error:
                problems.append(declaration.located(error))
        for row in outdated.values():
            self._undeclare(row)
        if problems:
            raise InvalidRequest.combined(problems)

    def _is_as_declared(self, row: Chain, definition: Definition) -> bool:
        """Return whether the declaration has not changed since the last time, and report what people changed."""
        if self._version(row, row.declared_version) != definition:
            return False
        newest = self._version(row, row.newest)
        if newest == definition:
            self.unchanged += 1
        else:
            why = f"version {row.newest} was defined by hand; declared is version {row.declared_version}"
            self._tell("kept", row, why=why, changes=_changes(newest, definition))
        return True

    def _update(self, row: Chain, definition: Definition) -> None:
        declared = self._version(row, row.declared_version)
        verb: Verb = _UPDATED
        row = lock_chain(row.group.name, row.name)
        newest = self._version(row, row.newest)
        if declared is None and row.state == Chain.State.STOPPED and row.state_reason == self._because:
            set_chain_state(row.group.name, row.name, Chain.State.ACTIVE, actor=self._source)
            verb = _STARTED
        changed = update_chain(row.group.name, row.name, definition.to_json(), actor=self._source)
        Chain.objects.filter(id=row.id).update(declared_version=F("newest"))
        changes = _changes(newest, definition) if changed.newest != row.newest else ()
        if changes or verb == _STARTED:
            self._tell(verb, row, why=f"version {changed.newest}" if changes else "", changes=changes)
        else:
            self.unchanged += 1

    def _is_kept_elsewhere(self, row: Chain) -> bool:
        if row.state != Chain.State.ACTIVE or not self._lives_elsewhere(row):
            return False
        why = f"{self._because} here, but only other living nodes know handlers of its steps"
        self._tell("kept", row, why=why)
        return True

    def _undeclare(self, row: Chain) -> None:
        """Stop a chain that is no longer declared: only once, so that a person can start it again."""
        row = lock_chain(row.group.name, row.name)
        if row.state == Chain.State.ACTIVE:
            set_chain_state(row.group.name, row.name, Chain.State.STOPPED, reason=self._because, actor=self._source)
            self._tell("stopped", row, why=self._because)
        Chain.objects.filter(id=row.id).update(declared_version=None)

    def _lives_elsewhere(self, row: Chain) -> bool:
        definition = self._version(row, row.newest)
        called = set() if definition is None else _handlers(definition)
        return bool(called) and not called.isdisjoint(self._handlers_elsewhere())

    def _why_taken(self, row: Chain) -> str:
        why = f"is declared in {row.source}" if row.source else "was not made from a declaration"
        if row.source and row.owner != self._owner:
            why += f" of the program {row.owner!r}; this is {self._owner!r}"
        return f"a chain of that name exists, which {why}"

    def _named(self) -> QuerySet[Chain]:
        """Return the chains that have a declared name, whatever their owner."""
        groups = {group for group, _ in self._definitions}
        named = Chain.objects.filter(group__name__in=groups, name__in={name for _, name in self._definitions})
        wanted = [row.id for row in named.select_related("group") if (row.group.name, row.name) in self._definitions]
        return Chain.objects.filter(id__in=wanted)

    def _version(self, row: Chain, number: int | None) -> Definition | None:
        """Return the definition of a version; None if there is none, or it cannot be read."""
        found = ChainVersion.objects.filter(chain=row, version=number).first() if number is not None else None
        try:
            return None if found is None else parse_chain(found.definition)
        except TimersError:
            return None  # written by a program version with other fields: the declaration replaces it

    def _tell(self, verb: Verb, row: Chain, *, why: str = "", changes: tuple[FieldChange, ...] = ()) -> None:
        self.told.append((verb, Entry(row.group.name, row.name, why, changes, is_chain=True)))


def _handlers(definition: Definition) -> set[str]:
    """Return the handlers that the steps of a chain call."""
    steps = (step for step in definition.steps.values() if isinstance(step, ActionStep))
    return {step.action["handler"] for step in steps if isinstance(step.action.get("handler"), str)}


def _in_words(definition: Definition) -> str:
    number = len(definition.steps)
    return f"{number:,} {'step' if number == 1 else 'steps'}"


def _changes(before: Definition | None, after: Definition | None) -> tuple[FieldChange, ...]:
    """Return the changes from one definition to another, as reports show them."""
    if before is None or after is None:
        return ()
    return tuple(
        FieldChange(
            _field(change),
            "none" if change.kind == "added" else _shown(change.before),
            "none" if change.kind == "removed" else _shown(change.after),
        )
        for change in diff(before, after)
    )


def _field(change: Change) -> str:
    return ".".join([*([] if change.step is None else ["steps", change.step]), *change.path])


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}... ({len(text):,} characters)"
