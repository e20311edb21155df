"""Authentication: from a key or a session to the caller that it belongs to."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import DatabaseError
from django.views.decorators.debug import sensitive_variables

from timers.database import transaction
from timers.exceptions import TimersError
from timers.models import ApplicationKey
from timers.security.api_keys.cache import MOST_SECONDS, KnownKey, KnownKeys
from timers.security.api_keys.format import KeyText, read_key
from timers.security.api_keys.store import NOTED_EVERY, names_of_groups, note_use, read_application_key, renew_digest
from timers.security.caller import Caller
from timers.security.scopes import expanded, scopes_of

logger = logging.getLogger(__name__)

NO_DIGEST: Final = "0" * 64
"""The digest of no secret: a key that does not exist is compared with it, so that this takes as long as for one that
does.
"""
_NOT_FROM_THERE: Final = "it may not be used from there"

_known = KnownKeys()


class KeyRefused(TimersError):
    """The application key is unknown, revoked or expired; which of these, its caller does not learn."""

    def __init__(self) -> None:
        super().__init__("This is no valid application key.")


@sensitive_variables("text", "key")  # error reports contain local variables
def caller_of_key(text: str, address: str, *, at: float | None = None, known: KnownKeys = _known) -> Caller:
    """Return the caller that a key belongs to.

    Args:
        text: the key.
        address: the address from which it is used; empty: unknown.
        at: the monotonic clock in seconds; None: its present reading. For tests.
        known: the cache of keys. For tests.

    Raises:
        KeyRefused: the key is unknown, wrong, revoked, expired, not allowed from this address, or its user is not
            active. The error is the same in all cases, so that guessing reveals nothing; the log contains the reason.
    """
    at = time.monotonic() if at is None else at
    key = read_key(text)
    if key is None:  # without a database query: mistyped, or never a key
        raise _refused("malformed or mistyped", "-", address)
    found = known.get(text, at)
    if found is None:
        found, seconds = _looked_up(key, address)
        known.put(text, found, at, seconds)
    elif not found.admits(address):
        raise _refused(_NOT_FROM_THERE, key.public_id, address)
    elif found.group_ids:
        # A group may have just been deleted, and another one created under its name: the key does not apply to that
        # one.
        return replace(found.caller, groups=frozenset(names_of_groups(found.group_ids)))
    return found.caller


def caller_of_user(user: Any) -> Caller:
    """Return the caller for a signed-in user: all groups, and the scopes of their permissions."""
    return Caller(actor=user.get_username(), user_id=user.pk, key_id=None, scopes=scopes_of(user), groups=None)


def forget_known_keys() -> None:
    """Clear the cache of keys; for tests, which change rows faster than any user."""
    _known.forget()


def _looked_up(key: KeyText, address: str) -> tuple[KnownKey, float]:
    """Return the key as stored in the database, and the seconds for which it may be cached."""
    read = read_application_key(key.public_id)
    if read is None:
        key.matches(NO_DIGEST)
        raise _refused("there is no such key", key.public_id, address)
    row, groups, now = read.row, read.groups, read.now
    until = _holds_until(row, key, now)
    if until is None:  # before all other checks: the duration of the rest would reveal that such a key exists
        raise _refused("its secret is wrong", key.public_id, address)
    reason = None
    if row.revoked_at is not None:
        reason = "it is revoked"
    elif until <= now:
        reason = "its time is over"
    elif row.holder is None:
        reason = "its user no longer exists"
    elif not row.user.is_active:
        reason = f"its user {row.user.get_username()!r} is not active"
    group_ids = frozenset() if row.all_groups else frozenset(groups)
    known = KnownKey(_caller(row, groups.values()), tuple(row.allowed_addresses), group_ids)
    if reason is None and not known.admits(address):
        reason = _NOT_FROM_THERE
    if reason is not None:
        raise _refused(reason, key.public_id, address)
    _note(row, key, address, now)
    return known, min(MOST_SECONDS, (until - now).total_seconds())


def _holds_until(row: ApplicationKey, key: KeyText, now: datetime) -> datetime | None:
    """Return the end of the validity of the given secret; None if it does not belong to the key."""
    # Compare both, whatever the result of the first, so that the duration does not reveal which one matched.
    is_present, is_previous = key.matches(row.digest), key.matches(row.previous_digest or NO_DIGEST)
    ends = row.expires_at or now + timedelta(days=1)
    if is_present:
        return ends
    if is_previous and row.previous_until is not None:
        return min(ends, row.previous_until)
    return None


def _caller(row: ApplicationKey, groups: Iterable[str]) -> Caller:
    return Caller(
        actor=f"key {row.name}",
        user_id=row.user_id,
        key_id=row.pk,
        scopes=frozenset() if row.holder is None else expanded(row.scopes) & scopes_of(row.holder),
        groups=None if row.all_groups else frozenset(groups),
        rate=row.rate,
    )


def _note(row: ApplicationKey, key: KeyText, address: str, now: datetime) -> None:
    """Record this use of the key; if that fails, the request is not rejected."""
    last, digest = row.last_used_at, key.digest()
    is_due = last is None or now - last >= timedelta(seconds=NOTED_EVERY)
    is_older = row.digest != digest and key.matches(row.digest)
    if not (is_due or is_older):
        return
    try:
        with transaction.atomic():
            if is_older:
                renew_digest(row.pk, row.digest, digest)
            if is_due:
                note_use(row.pk, address)
    except DatabaseError as error:
        logger.warning("the use of the application key %s could not be noted: %s", row.public_id, error)


def _refused(reason: str, public_id: str, address: str) -> KeyRefused:
    logger.warning("an application key was refused: %s (key %s, from %s)", reason, public_id, address or "unknown")
    return KeyRefused()
