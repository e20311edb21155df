"""Audit trail: each control operation writes one entry in its own transaction; a rollback removes the entry too.

    with audited("timer.pause", actor, group=group, name=name) as entry:
        timer = entry.watch(lock_timer(group, name))
        ...

An operation that calls other operations writes only its own entry. An operation that changes nothing writes none (see
`Entry.nothing`). The engine's own actions are recorded in the ledger and in the cluster's events, and leave no audit
entry.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import Any, Final, TypeVar

from django.db import models

from timers.database import connection, transaction
from timers.domain.payload import Unreadable
from timers.models.group import NAME_LENGTH, TimerGroup
from timers.security.current_actor import current_actor

Row = TypeVar("Row", bound=models.Model)

FIRST: Final = 20
"""Maximum number of names that an entry keeps of a bulk operation."""
LONGEST: Final = 2_000
"""Maximum characters of a JSON value; of a longer value only the length and the digest are kept."""
MASK: Final = "***"
_SECRET: Final = frozenset({"value", "previous_value", "digest", "previous_digest"})
# Payloads may contain personal data, and the audit trail is kept longer than they are.
_DIGESTED: Final = frozenset({"payload"})
_OWN_RECORD: Final = frozenset(
    {"id", "version", "created_at", "created_by", "updated_at", "updated_by", "state_changed_at", "state_changed_by",
     "declared", "owner", "spare_timers", "timer_priorities", "orders_by_priority", "worker_ordinals", "frozen_entry",
     "cursor", "next_at", "is_releasing"}
)  # fmt: skip

_within: Final[ContextVar[bool]] = ContextVar("timers_audited", default=False)


class Entry:
    """The audit entry of a running operation; the operation adds its facts to it."""

    def __init__(self, verb: str, group: str, name: str, subject_id: Any, *, silent: bool) -> None:
        self.verb = verb
        self.group, self.name, self.subject_id = group, name, subject_id
        self.group_id: int | None = None
        """The group's id; None: the id of the group that has the name when the entry is written."""
        self.is_silent = silent
        self._watched: list[tuple[models.Model, dict[str, Any]]] = []
        self._before: dict[str, Any] = {}
        self._after: dict[str, Any] = {}

    def watch(self, row: Row) -> Row:
        """Record all changes made to a row from now on; the row becomes the entry's subject."""
        self._watched.append((row, dict(_values(row))))
        if not self.is_silent:
            self._is_about(row)
        return row

    def made(self, row: Row) -> Row:
        """Record a new row: its values that differ from the defaults."""
        if not self.is_silent:
            self._after |= _facts(row)
            self._is_about(row)
        return row

    def gone(self, row: Row) -> Row:
        """Record the values of a row that is about to be deleted."""
        if not self.is_silent:
            self._before |= _facts(row)
            self._is_about(row)
        return row

    @property
    def has_changes(self) -> bool:
        """Whether anything has changed so far. The row's own bookkeeping (version, timestamps) does not count."""
        return any(self.difference())

    def changed(self, field: str, before: Any, after: Any) -> None:
        """Record a change of something that is not a column of a watched row."""
        if before != after:
            self._before[field], self._after[field] = fact(field, before), fact(field, after)

    def told(self, **results: Any) -> None:
        """Record results of the operation."""
        self._after |= {name: fact(name, value) for name, value in results.items()}

    def many(self, **lists: Sequence[Any]) -> None:
        """Record results of a bulk operation: for each list its length and its first items."""
        for name, found in lists.items():
            self._after[name] = len(found)
            if found:
                self._after[f"first_{name}"] = [str(each) for each in found[:FIRST]]

    def nothing(self) -> None:
        """Write no entry, because the operation changed nothing."""
        self.is_silent = True

    def difference(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the changed facts: their values before, and their values now."""
        before, after = dict(self._before), dict(self._after)
        for row, was in self._watched:
            for name, value in _values(row):
                if name not in _OWN_RECORD and _plain(was.get(name)) != _plain(value):
                    before[name], after[name] = fact(name, was.get(name)), fact(name, value)
        return before, after

    def _is_about(self, row: models.Model) -> None:
        if not self.subject_id:
            self.subject_id = row.pk or ""
        if self.group_id is None:
            self.group_id = row.pk if isinstance(row, TimerGroup) else getattr(row, "group_id", None)


@contextmanager
def audited(verb: str, actor: str = "", *, group: str = "", name: str = "", subject_id: Any = "") -> Iterator[Entry]:
    """Open a transaction (or a savepoint of the caller's) that ends by writing the audit entry of this operation.

    The kind of the subject is the part of `verb` before the dot.

    Args:
        verb: the operation, such as `timer.pause`.
        actor: who performs it; empty: the current actor.
        group: name of the subject's group; empty: none.
        name: name of the subject.
        subject_id: id of the subject; empty: that of the first row that the operation records.
    """
    with transaction.atomic():
        entry = Entry(verb, group, name, subject_id, silent=_within.get())
        token = _within.set(True)
        try:
            yield entry
        finally:
            _within.reset(token)
        if not entry.is_silent:
            _write(entry, actor)


@contextmanager
def audit_suppressed() -> Iterator[None]:
    """Suppress audit entries of operations within this context: the engine performs them by itself."""
    token = _within.set(True)
    try:
        yield
    finally:
        _within.reset(token)


def is_silent() -> bool:
    """Return whether an operation called now would write no entry, because it is part of another operation."""
    return _within.get()


def fact(name: str, value: Any) -> Any:
    """Return a value as entries show it: secrets masked, payloads and long values replaced by their digests."""
    if value is None or value == "":
        return value
    if name in _SECRET or isinstance(value, bytes | memoryview):
        return MASK
    plain = _plain(value)
    text = json.dumps(plain, ensure_ascii=False, separators=(",", ":"))
    return digest(text) if name in _DIGESTED or len(text) > LONGEST else plain


def digest(text: str) -> dict[str, Any]:
    """Return the size in bytes and the SHA-256 digest of a JSON text that is not kept itself."""
    content = text.encode(errors="surrogatepass")
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def who(actor: str) -> dict[str, Any]:
    """Return the columns of an entry that identify the actor."""
    known = current_actor()
    return {
        "actor": (actor or known.name())[:NAME_LENGTH],
        "key_id": known.key_id,
        "address": known.address,
        "request_id": known.request_id,
    }


_WRITE: Final = """
INSERT INTO timers_audit_entry (at, actor, key_id, address, request_id, verb, subject_kind, subject_group,
                                group_id, subject_name, subject_id, before, after)
VALUES (timers_now(), %(actor)s, %(key_id)s, %(address)s, %(request_id)s, %(verb)s, %(kind)s, %(group)s,
        COALESCE(%(group_id)s, (SELECT g.id FROM timers_timer_group g WHERE g.name = %(group)s)), %(name)s,
        %(id)s, %(before)s::json, %(after)s::json)
"""


def _write(entry: Entry, actor: str) -> None:
    before, after = entry.difference()
    with connection.cursor() as cursor:
        cursor.execute(
            _WRITE,
            {
                **who(actor),
                "verb": entry.verb,
                "kind": entry.verb.partition(".")[0],
                "group": entry.group,
                "group_id": entry.group_id if entry.group else None,
                "name": entry.name,
                "id": str(entry.subject_id),
                "before": as_json(before),
                "after": as_json(after),
            },
        )


def as_json(values: Mapping[str, Any]) -> str | None:
    """Return the JSON text of a column; None if there are no values."""
    return json.dumps(values) if values else None


def _values(row: models.Model) -> Iterator[tuple[str, Any]]:
    for field in row._meta.concrete_fields:  # noqa: SLF001 - documented API of Django, despite the underscore
        yield field.attname, row.__dict__.get(field.attname)


def _facts(row: models.Model) -> dict[str, Any]:
    """Return the columns of a row that differ from their defaults, as entries show them."""
    defaults = {field.attname: field.get_default() for field in row._meta.concrete_fields}  # noqa: SLF001
    return {
        name: fact(name, value)
        for name, value in _values(row)
        if name not in _OWN_RECORD and _plain(value) not in (None, _plain(defaults[name]))
    }


def _plain(value: Any) -> Any:
    """Return the value as JSON represents it."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, Unreadable):
        return f"(cannot be read: {value.reason})"
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)
