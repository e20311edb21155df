"""The audit trail: who asked for what, newest first, a page at a time."""

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
"""What entries are about: the first words of verbs."""

Place = tuple[datetime, int]
"""Where a page ends: the instant and the number of its last entry."""


@dataclass(frozen=True, slots=True)
class AuditPage:
    """One page, newest first, and the `before` of the next; None when there is nothing more."""

    entries: list[AuditEntry]
    next: Place | None


@dataclass(frozen=True, slots=True)
class Subject:
    """What entries are about; empty: any."""

    kind: str = ""
    group: str = ""
    name: str = ""

    @classmethod
    def parse(cls, text: str) -> Subject:
        """Read `timer`, `timer:billing/nightly`, `group:billing`, `key:sender` or `billing/nightly`.

        A name is taken as it is, whatever it holds; only the first slash ends a group. Raises InvalidRequest for a
        kind that there is none of.
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
    """The entries that meet all conditions.

    `groups`: the names of those that the asker may see, and what concerns no single group is not for them, nor what
    concerned a former group of such a name; None: all.
    `verb`: such as timer.pause. `since`, `until`: at or after, and before, by the database's clock.
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
        # The first condition alone is one that the index begins at.
        rows = rows.filter(Q(at__lt=at) | Q(id__lt=number), at__lte=at)
    found = list(rows.order_by("-at", "-id")[: limit + 1])
    page = found[:limit]
    return AuditPage(page, (page[-1].at, page[-1].id) if len(found) > limit else None)


def one(number: int, groups: Collection[str] | None = None) -> AuditEntry | None:
    """The entry of that number; None when there is none that the asker may see."""
    return _visible(groups).filter(id=number).first()


def _checked(kind: str) -> str:
    if kind not in KINDS:
        near = nearest(kind, KINDS)
        hint = f"did you mean {near}?" if near else f"known are {', '.join(KINDS)}"
        raise InvalidRequest("subject", f"is of a kind that there is none of; {hint}", given=kind)
    return kind


def _by(rows: QuerySet[AuditEntry], actor: str) -> QuerySet[AuditEntry]:
    """The entries of an actor: of an application key, those of the key that has the name now, or had it last."""
    rows, name = rows.filter(actor=actor), actor.removeprefix("key ")
    key = None if name == actor else _id_of(ApplicationKey.objects.filter(name=name).order_by("-id"))
    return rows if key is None else rows.filter(Q(key_id=key) | Q(key_id=None))


def _about(rows: QuerySet[AuditEntry], subject: Subject) -> QuerySet[AuditEntry]:
    """The entries about a subject: about the thing that has the name now, not about others that had it before.

    Where nothing has the name any more, all are meant that had it.
    """
    columns = {"subject_kind": subject.kind, "subject_group": subject.group, "subject_name": subject.name}
    rows = rows.filter(**{column: wanted for column, wanted in columns.items() if wanted})
    if subject.group:
        group_id = TimerGroup.objects.filter(name=subject.group).values_list("id", flat=True).first()
        if group_id is not None:
            rows = rows.filter(group_id=group_id)
    present = _IDENTITIES[subject.kind](subject) if subject.name and subject.kind in _IDENTITIES else None
    # What was done to many at once tells of none of them alone.
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
"""By the kind of a subject: the identity of the thing that has the name now, or had it last. A node's name is its
identity: it is the same node after a restart."""


def _id_of(rows: QuerySet[Any]) -> int | None:
    found: int | None = rows.values_list("id", flat=True).first()
    return found


def _visible(groups: Collection[str] | None) -> QuerySet[AuditEntry]:
    rows = AuditEntry.objects.all()
    if groups is None:
        return rows
    return rows.filter(subject_group__in=sorted(groups), group_id__in=group_ids(groups))
