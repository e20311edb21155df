"""Queries of the audit trail: who changed what, newest first, by page."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db.models import Q, QuerySet

from timers.domain.errors import nearest
from timers.exceptions import InvalidRequest
from timers.models import (
    ApplicationKey,
    AuditEntry,
    Chain,
    ExclusionCalendar,
    Secret,
    Subscription,
    Timer,
    TimerGroup,
)
from timers.models.group import group_ids

KINDS: Final = (
    "timer", "execution", "group", "subscription", "operation", "calendar", "secret", "key", "node", "cluster",
    "declaration", "partition", "chain", "step", "order", "lock",
)  # fmt: skip
"""Kinds of subjects: the first words of verbs."""

Place = tuple[datetime, int]
"""Where a page ends: instant and number of its last entry."""


@dataclass(frozen=True, slots=True)
class AuditPage:
    """One page, newest first, and the `before` of the next page; None if there is none."""

    entries: list[AuditEntry]
    next: Place | None


@dataclass(frozen=True, slots=True)
class Subject:
    """Subject of entries; empty fields match any."""

    kind: str = ""
    group: str = ""
    name: str = ""

    @classmethod
    def parse(cls, text: str) -> Subject:
        """Parse `timer`, `timer:billing/nightly`, `group:billing`, `key:sender` or `billing/nightly`.

        A name can contain any character; only the first slash ends the group. Raises InvalidRequest for an unknown
        kind.
        """
        kind, colon, rest = text.partition(":")
        if not colon and "/" not in text:
            return cls(_checked(text))
        kind, rest = (kind, rest) if colon and "/" not in kind else ("", text)
        if kind:
            _checked(kind)
        if kind == "group":
            return cls(kind, rest, rest)
        group, slash, name = rest.partition("/")
        return cls(kind, group, name) if slash else cls(kind, "", rest)


def find(
    *,
    groups: Collection[str] | None = None,
    actor: str | None = None,
    verb: str | None = None,
    subject: Subject | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    before: Place | None = None,
    limit: int = 50,
) -> AuditPage:
    """Return the entries that meet all conditions.

    Args:
        groups: Names of the groups that the caller may see; None: all. With names, entries that concern no single
            group, or a former group of the same name, are left out.
        actor: Name of the actor.
        verb: Such as timer.pause.
        subject: What the entries are about.
        since: Inclusive lower bound, by the database clock.
        until: Exclusive upper bound, by the database clock.
        before: `before` of the previous page; None: the first page.
        limit: Maximum number of entries.

    Returns:
        One page.
    """
    rows = _visible(groups)
    if actor is not None:
        rows = _by(rows, actor)
    if verb is not None:
        rows = rows.filter(verb=verb)
    rows = _about(rows, subject or Subject())
    if since is not None:
        rows = rows.filter(at__gte=since)
    if until is not None:
        rows = rows.filter(at__lt=until)
    if before is not None:
        at, number = before
        # The first condition alone lets the index start there.
        rows = rows.filter(Q(at__lt=at) | Q(id__lt=number), at__lte=at)
    found = list(rows.order_by("-at", "-id")[: limit + 1])
    page = found[:limit]
    return AuditPage(page, (page[-1].at, page[-1].id) if len(found) > limit else None)


def one(number: int, groups: Collection[str] | None = None) -> AuditEntry | None:
    """Return the entry of that number; None if there is none that the caller may see."""
    return _visible(groups).filter(id=number).first()


def _checked(kind: str) -> str:
    if kind not in KINDS:
        near = nearest(kind, KINDS)
        hint = f"did you mean {near}?" if near else f"known are {', '.join(KINDS)}"
        raise InvalidRequest("subject", f"is of an unknown kind; {hint}", given=kind)
    return kind


def _by(rows: QuerySet[AuditEntry], actor: str) -> QuerySet[AuditEntry]:
    """Filter by actor. The name of an application key selects the key that has the name now, or had it last."""
    rows, name = rows.filter(actor=actor), actor.removeprefix("key ")
    key = None if name == actor else _id_of(ApplicationKey.objects.filter(name=name).order_by("-id"))
    return rows if key is None else rows.filter(Q(key_id=key) | Q(key_id=None))


def _about(rows: QuerySet[AuditEntry], subject: Subject) -> QuerySet[AuditEntry]:
    """Filter by subject: the object that has the name now, not others that had it before.

    If no object has the name any more, all former objects of that name are selected.
    """
    columns = {"subject_kind": subject.kind, "subject_group": subject.group, "subject_name": subject.name}
    rows = rows.filter(**{column: wanted for column, wanted in columns.items() if wanted})
    if subject.group:
        group_id = TimerGroup.objects.filter(name=subject.group).values_list("id", flat=True).first()
        if group_id is not None:
            rows = rows.filter(group_id=group_id)
    present = _IDENTITIES[subject.kind](subject) if subject.name and subject.kind in _IDENTITIES else None
    # An entry about many objects at once concerns none of them alone.
    return rows if present is None else rows.filter(subject_id__in=[str(present), ""])


_IDENTITIES: Final[dict[str, Callable[[Subject], int | None]]] = {
    "timer": lambda subject: _id_of(Timer.objects.named(subject.group, subject.name)),
    "subscription": lambda subject: _id_of(
        Subscription.objects.filter(group__name=subject.group, name=subject.name).order_by("-id")
    ),
    "chain": lambda subject: _id_of(Chain.objects.filter(group__name=subject.group, name=subject.name)),
    "calendar": lambda subject: _id_of(ExclusionCalendar.objects.filter(name=subject.name)),
    "secret": lambda subject: _id_of(Secret.objects.filter(name=subject.name)),
    "key": lambda subject: _id_of(ApplicationKey.objects.filter(name=subject.name).order_by("-id")),
}
"""Per kind of subject, a lookup of the id of the object that has the name now, or had it last. A node's name is its
id: after a restart it is the same node."""


def _id_of(rows: QuerySet[Any]) -> int | None:
    found: int | None = rows.values_list("id", flat=True).first()
    return found


def _visible(groups: Collection[str] | None) -> QuerySet[AuditEntry]:
    rows = AuditEntry.objects.all()
    if groups is None:
        return rows
    return rows.filter(subject_group__in=sorted(groups), group_id__in=group_ids(groups))
