"""Application keys: create, change, rotate, revoke. A key's text is returned once, to its creator, and never again.

A key is identified by its public id. Revoked and expired keys are kept as long as the history is.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from difflib import get_close_matches
from functools import partial
from typing import Any, Final

from django.db import IntegrityError

from timers import clock
from timers.control.audit import Entry, audited
from timers.control.key_fields import (
    check_addresses,
    check_expiry,
    check_groups,
    check_key_name,
    check_rate,
    check_scopes,
    check_user,
    checked,
)
from timers.database import transaction
from timers.exceptions import InvalidRequest, NotAllowedNow, StaleVersion, TimerExists, TimerNotFound
from timers.models import ApplicationKey
from timers.schedules.duration import MICROSECONDS_PER_SECOND, parse_duration
from timers.security.api_keys.format import new_key

EDITABLE: Final = ("name", "scopes", "groups", "all_groups", "allowed_addresses", "expires_at", "rate")
"""Fields that update_key accepts. The user cannot change: the history of the key belongs to that user."""
OVERLAP: Final = timedelta(days=1)
"""Default time for which the replaced secret remains valid."""
LONGEST_OVERLAP: Final = 366 * 86_400 * MICROSECONDS_PER_SECOND
_NAME_CONSTRAINT: Final = "timers_application_key_name"


def create_key(
    name: str,
    *,
    user: Any,
    scopes: Collection[str],
    groups: Collection[str] | None = None,
    all_groups: bool = False,
    allowed_addresses: Collection[str] = (),
    expires_at: datetime | str | None = None,
    rate: float | None = None,
    actor: str = "",
) -> tuple[ApplicationKey, str]:
    """Create a key. Return its row and its text, which cannot be read again.

    Args:
        name: name of the key, unique among the keys that are not revoked.
        user: the user that the key acts for, as a row or by name.
        scopes: at least one scope.
        groups: names of the groups; either these or `all_groups` must be given.
        all_groups: whether the key is valid for all groups.
        allowed_addresses: networks from which it can be used; empty: everywhere.
        expires_at: when it expires; None: never.
        rate: requests per second in each web process; None: the default of the settings.
        actor: who requests it; empty: the current actor.

    Raises:
        InvalidRequest: a field is invalid.
        TimerExists: another key that is not revoked has the name.
    """
    now = clock.now()
    with audited("key.create", actor, name=name) as entry:
        fields = checked(
            {
                "name": partial(check_key_name, name),
                "user": partial(check_user, user),
                "scopes": partial(check_scopes, scopes),
                "groups": partial(_groups, groups, all_groups),
                "allowed_addresses": partial(check_addresses, allowed_addresses),
                "expires_at": partial(check_expiry, expires_at, now),
                "rate": partial(check_rate, rate),
            }
        )
        named = fields.pop("groups")
        key = new_key()
        row = ApplicationKey(
            **fields, all_groups=all_groups, public_id=key.public_id, digest=key.digest(),
            created_at=now, created_by=actor, updated_at=now, updated_by=actor,
        )  # fmt: skip
        _save(row)
        row.groups.set(named)
        entry.made(row)
        entry.told(groups=[group.name for group in named])
    return row, key.reveal()


def update_key(public_id: str, *, version: int | None = None, actor: str = "", **fields: Any) -> ApplicationKey:
    """Change fields of a key (see EDITABLE). The change takes effect within a second.

    Given groups replace the present ones, or `all_groups`.

    Args:
        public_id: id of the key.
        version: raise StaleVersion if the key was changed since this version was read; None: no check.
        actor: who requests it; empty: the current actor.
        fields: the fields to change.

    Raises:
        InvalidRequest: a field is unknown or invalid.
        TimerExists: another key has the name.
        TimerNotFound: there is no such key.
        StaleVersion: see `version`.
        NotAllowedNow: the key is revoked.
    """
    with audited("key.update", actor) as entry:
        row = _about(entry, _living(public_id, version))
        now = clock.now()
        checks: dict[str, Callable[[], Any]] = {
            field: partial(_refuse_unknown, field) for field in sorted(fields.keys() - set(EDITABLE))
        }
        readers: dict[str, Callable[[Any], Any]] = {
            "name": check_key_name,
            "scopes": check_scopes,
            "allowed_addresses": check_addresses,
            "rate": check_rate,
            "expires_at": lambda value: value if value == row.expires_at else check_expiry(value, now),
        }
        checks |= {field: partial(read, fields[field]) for field, read in readers.items() if field in fields}
        regrouped = bool(fields.keys() & {"groups", "all_groups"})
        is_for_all = fields.get("all_groups", False if "groups" in fields else row.all_groups)
        if regrouped:
            checks["groups"] = partial(_groups, fields.get("groups"), is_for_all)
        values = checked(checks)
        if regrouped:
            row.all_groups = is_for_all
            named = values.pop("groups")
            entry.changed("groups", sorted(group.name for group in row.groups.all()), [group.name for group in named])
            row.groups.set(named)
        for field, value in values.items():
            setattr(row, field, value)
        if not entry.has_changes:
            entry.nothing()
            return row
        return _changed(row, now, actor)


def rotate_key(
    public_id: str, *, overlap: timedelta | float | str = OVERLAP, version: int | None = None, actor: str = ""
) -> tuple[ApplicationKey, str]:
    """Replace the secret of a key. Return its row and its new text, which cannot be read again.

    Args:
        public_id: id of the key.
        overlap: seconds (or a duration) for which the present secret remains valid. An older secret becomes invalid at
            once, so at most two are valid.
        version: raise StaleVersion if the key was changed since this version was read; None: no check.
        actor: who requests it; empty: the current actor.

    Raises:
        InvalidRequest: `overlap` is invalid.
        TimerNotFound: there is no such key.
        StaleVersion: see `version`.
        NotAllowedNow: the key is revoked.
    """
    microseconds = parse_duration(overlap, "overlap", at_most=LONGEST_OVERLAP, allow_zero=True)
    with audited("key.rotate", actor) as entry:
        row = _about(entry, _living(public_id, version))
        now = clock.now()
        row.previous_digest, row.previous_until = "", None
        if microseconds:
            row.previous_digest, row.previous_until = row.digest, now + timedelta(microseconds=microseconds)
        key = new_key(public_id)
        row.digest = key.digest()
        return _changed(row, now, actor), key.reveal()


def revoke_key(public_id: str, *, version: int | None = None, actor: str = "") -> ApplicationKey:
    """Revoke a key permanently; it is rejected everywhere within a second. Revoking a revoked key changes nothing.

    Args:
        public_id: id of the key.
        version: raise StaleVersion if the key was changed since this version was read; None: no check.
        actor: who requests it; empty: the current actor.

    Raises:
        TimerNotFound: there is no such key.
        StaleVersion: see `version`.
    """
    with audited("key.revoke", actor) as entry:
        row = _about(entry, _locked(public_id, version))
        if row.revoked_at is not None:
            entry.nothing()
            return row
        now = clock.now()
        row.revoked_at, row.revoked_by = now, actor
        row.previous_digest, row.previous_until = "", None
        return _changed(row, now, actor)


def _groups(names: Collection[str] | None, all_groups: Any) -> list[Any]:
    """Return the groups that a key is limited to; empty for a key for all groups."""
    if not isinstance(all_groups, bool):
        raise InvalidRequest("all_groups", "must be true or false", given=all_groups)
    if all_groups:
        if names:
            raise InvalidRequest("groups", "must not be named where all_groups is said")
        return []
    if names is None:
        raise InvalidRequest("groups", "are missing: name those that the key is for, or say all_groups")
    return check_groups(names)


def _refuse_unknown(field: str) -> None:
    near = get_close_matches(field, EDITABLE, n=1)
    hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(EDITABLE)}"
    raise InvalidRequest(field, f"is not known; {hint}")


def _about(entry: Entry, row: ApplicationKey) -> ApplicationKey:
    entry.name = row.name
    return entry.watch(row)


def _locked(public_id: str, version: int | None) -> ApplicationKey:
    row = ApplicationKey.objects.select_for_update(no_key=True, of=("self",)).filter(public_id=public_id).first()
    if row is None:
        raise TimerNotFound(f"there is no application key {public_id!r}")
    if version is not None and version != row.version:
        raise StaleVersion(f"the key {row.name!r} was changed meanwhile (version {row.version}, not {version})")
    return row


def _living(public_id: str, version: int | None) -> ApplicationKey:
    row = _locked(public_id, version)
    if row.revoked_at is not None:
        raise NotAllowedNow(f"the key {row.name!r} is revoked for good; create another one")
    return row


def _changed(row: ApplicationKey, now: datetime, actor: str) -> ApplicationKey:
    row.version += 1
    row.updated_at, row.updated_by = now, actor
    _save(row)
    return row


def _save(row: ApplicationKey) -> None:
    try:
        with transaction.atomic():
            row.save()
    except IntegrityError as error:
        if _NAME_CONSTRAINT not in str(error):
            raise
        raise TimerExists("name", "is taken by another key that is not revoked", given=row.name) from None
