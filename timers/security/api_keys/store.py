"""Database access for the use of application keys: read one by its public id, and record that it was used."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Final, NamedTuple

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import OuterRef, Q
from django.db.models.expressions import RawSQL

from timers.database import connection
from timers.models import ApplicationKey
from timers.models.application_key import with_user

NOTED_EVERY: Final = 60
"""Minimum seconds between two records of a key's use."""

# A request never waits for another one that records the same: if the row is locked, it is skipped.
_NOTE: Final = """
UPDATE timers_application_key SET last_used_at = timers_now(), last_used_address = %(address)s
WHERE id = (
    SELECT id FROM timers_application_key
    WHERE id = %(id)s
      AND (last_used_at IS NULL OR last_used_at <= timers_now() - make_interval(secs => %(seconds)s))
    FOR NO KEY UPDATE SKIP LOCKED
)
"""
_RENEW: Final = """
UPDATE timers_application_key SET digest = %(new)s
WHERE id = (SELECT id FROM timers_application_key WHERE id = %(id)s AND digest = %(old)s FOR NO KEY UPDATE SKIP LOCKED)
"""


class KeyRead(NamedTuple):
    """An application key as stored in the database."""

    row: ApplicationKey
    """The key, with its user."""
    groups: dict[int, str]
    """The names of its groups by their ids."""
    now: datetime
    """When it was read, by the database's clock."""


def read_application_key(public_id: str) -> KeyRead | None:
    """Return the key of that public id; None if there is none."""
    groups = ApplicationKey.groups.through.objects.filter(applicationkey_id=OuterRef("pk")).order_by("timergroup_id")
    row = (
        with_user(ApplicationKey.objects.filter(public_id=public_id))
        .annotate(
            group_ids=ArraySubquery(groups.values("timergroup_id")),
            group_names=ArraySubquery(groups.values("timergroup__name")),
            read_at=RawSQL("timers_now()", ()),
        )
        .first()
    )
    if row is None:
        return None
    return KeyRead(row, dict(zip(row.group_ids, row.group_names, strict=True)), row.read_at)


def names_of_groups(identities: Collection[int]) -> list[str]:
    """Return the names of the groups that still exist."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM timers_timer_group WHERE id = ANY(%s)", (list(identities),))
        return [name for (name,) in cursor.fetchall()]


def note_use(key: int, address: str) -> None:
    """Record that a key was used just now, from this address; within a minute of the last record nothing is written."""
    with connection.cursor() as cursor:
        cursor.execute(_NOTE, {"id": key, "address": address or None, "seconds": NOTED_EVERY})


def renew_digest(key: int, old: str, new: str) -> None:
    """Replace a digest under a fallback of SECRET_KEY by one under SECRET_KEY, so that the fallback can be removed."""
    with connection.cursor() as cursor:
        cursor.execute(_RENEW, {"id": key, "old": old, "new": new})


def prune_keys(ended_before: datetime, *, most: int = 1_000) -> int:
    """Delete at most `most` keys that were revoked, or expired, before that instant. Return how many were deleted."""
    ended = Q(revoked_at__lt=ended_before) | Q(expires_at__lt=ended_before)
    ids = list(ApplicationKey.objects.filter(ended).order_by("id").values_list("id", flat=True)[:most])
    ApplicationKey.objects.filter(ended, id__in=ids).delete()
    return len(ids)
