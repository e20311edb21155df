"""The audit trail: each verb of control leaves one entry, in its own transaction; rolled back, there is none.

    with audited("timer.pause", actor, group=group, name=name) as entry:
        timer = entry.watch(lock_timer(group, name))
        ...

A verb that calls others leaves its own entry alone, and so does one that turns out to change nothing (`nothing`): none.
What the engine does by itself is told by the ledger and the cluster's events, and leaves none either.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import Any, Final, TypeVar

from django.db import connection, models, transaction

from timers.domain.payload import Unreadable
from timers.models.group import NAME_LENGTH, TimerGroup
from timers.security.current_actor import current_actor

Row = TypeVar("Row", bound=models.Model)

FIRST: Final = 20
"""So many names of what was done to many at once are kept."""
LONGEST: Final = 2_000
"""Characters of JSON: of a longer value its length and digest are kept."""
MASK: Final = "***"
_SECRET: Final = frozenset({"value", "previous_value", "digest", "previous_digest"})
# Payloads are people's data, and the trail is kept longer than they are.
_DIGESTED: Final = frozenset({"payload"})
_OWN_RECORD: Final = frozenset(
    {"id", "version", "created_at", "created_by", "updated_at", "updated_by", "state_changed_at", "state_changed_by",
     "declared", "owner", "spare_timers", "timer_priorities", "orders_by_priority", "worker_ordinals", "frozen_entry",
     "cursor", "next_at", "is_releasing"}
)  # fmt: skip

_within: Final[ContextVar[bool]] = ContextVar("timers_audited", default=False)


class Entry:
    """What a verb says of itself while it works."""

    def __init__(self, verb: str, group: str, name: str, subject_id: Any, *, silent: bool) -> None:
        self.verb = verb
        self.group, self.name, self.subject_id = group, name, subject_id
        self.group_id: int | None = None
        """The group's identity; None: that of the group which has the name at the end."""
        self.is_silent = silent
        self._watched: list[tuple[models.Model, dict[str, Any]]] = []
        self._before: dict[str, Any] = {}
        self._after: dict[str, Any] = {}

    def watch(self, row: Row) -> Row:
        """Keep what changes of a row from now on; it is the subject."""
        self._watched.append((row, dict(_values(row))))
        if not self.is_silent:
            self._is_about(row)
        return row

    def made(self, row: Row) -> Row:
        """The row is new: keep what it has beside the defaults."""
        if not self.is_silent:
            self._after |= _facts(row)
            self._is_about(row)
        return row

    def gone(self, row: Row) -> Row:
        """The row is going to be deleted: keep what it had."""
        if not self.is_silent:
            self._before |= _facts(row)
            self._is_about(row)
        return row

    @property
    def has_changes(self) -> bool:
        """Whether anything has changed by now; what a row records of itself (its version, its times) does not count."""
        return any(self.difference())

    def changed(self, field: str, before: Any, after: Any) -> None:
        """Something that is no column of a watched row."""
        if before != after:
            self._before[field], self._after[field] = fact(field, before), fact(field, after)

    def told(self, **results: Any) -> None:
        """What came of it."""
        self._after |= {name: fact(name, value) for name, value in results.items()}

    def many(self, **lists: Sequence[Any]) -> None:
        """What came of it for many: their number, and the first of them."""
        for name, found in lists.items():
            self._after[name] = len(found)
            if found:
                self._after[f"first_{name}"] = [str(each) for each in found[:FIRST]]

    def nothing(self) -> None:
        """It changed nothing: leave no entry."""
        self.is_silent = True

    def difference(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """What changed, as it was and as it is."""
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
    """A transaction (or a part of the caller's) that ends with the entry of this verb.

    The kind of the subject is what the verb begins with. `actor`: empty: as `asking` has it.
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
    """The engine does it by itself: verbs within leave no entry."""
    token = _within.set(True)
    try:
        yield
    finally:
        _within.reset(token)


def is_silent() -> bool:
    """Whether a verb called now would leave no entry, for it is part of another one."""
    return _within.get()


def fact(name: str, value: Any) -> Any:
    """A value as entries show it: secrets are masked, payloads and what is long told by their digests."""
    if value is None or value == "":
        return value
    if name in _SECRET or isinstance(value, bytes | memoryview):
        return MASK
    plain = _plain(value)
    text = json.dumps(plain, ensure_ascii=False, separators=(",", ":"))
    return digest(text) if name in _DIGESTED or len(text) > LONGEST else plain


def digest(text: str) -> dict[str, Any]:
    """What is kept of a JSON text that is not."""
    content = text.encode(errors="surrogatepass")
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def who(actor: str) -> dict[str, Any]:
    """The columns of an entry that say who asked."""
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
    """The text of a column; None where there is nothing to say."""
    return json.dumps(values) if values else None


def _values(row: models.Model) -> Iterator[tuple[str, Any]]:
    for field in row._meta.concrete_fields:  # noqa: SLF001 - Django's documented API, whatever its name
        yield field.attname, row.__dict__.get(field.attname)


def _facts(row: models.Model) -> dict[str, Any]:
    """The columns of a row that are not as they are by default, as entries show them."""
    defaults = {field.attname: field.get_default() for field in row._meta.concrete_fields}  # noqa: SLF001
    return {
        name: fact(name, value)
        for name, value in _values(row)
        if name not in _OWN_RECORD and _plain(value) not in (None, _plain(defaults[name]))
    }


def _plain(value: Any) -> Any:
    """The value as JSON has it."""
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
