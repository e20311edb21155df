"""The use of application keys: read one by its public id, and note that it was used."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from django.contrib.postgres.expressions import ArraySubquery
from django.db import connection
from django.db.models import OuterRef
from django.db.models.expressions import RawSQL

from timers.models import ApplicationKey

NOTED_EVERY: Final = 60
"""Seconds between two notes of a key's use."""

# A request never waits for another one that is noting the same: whoever finds the row locked leaves it.
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


def read_application_key(public_id: str) -> tuple[ApplicationKey, list[str], datetime] | None:
    """The key of that public id with its user, the names of its groups, and the database's now; in one query."""
    groups = ApplicationKey.groups.through.objects.filter(applicationkey_id=OuterRef("pk"))
    row = (
        ApplicationKey.objects.filter(public_id=public_id)
        .select_related("user")
        .annotate(group_names=ArraySubquery(groups.values("timergroup__name")), read_at=RawSQL("timers_now()", ()))
        .first()
    )
    return None if row is None else (row, row.group_names, row.read_at)


def note_use(key: int, address: str) -> None:
    """Note that a key was used just now, from there; nothing is written within a minute of the last note."""
    with connection.cursor() as cursor:
        cursor.execute(_NOTE, {"id": key, "address": address or None, "seconds": NOTED_EVERY})


def renew_digest(key: int, old: str, new: str) -> None:
    """Keep the digest under the present SECRET_KEY instead of one under a fallback, so that the fallback can go."""
    with connection.cursor() as cursor:
        cursor.execute(_RENEW, {"id": key, "old": old, "new": new})
