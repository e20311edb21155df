"""Application keys: create, change, rotate, revoke. A key's text is given once, to whoever makes it, and never again.

A key is named by its public id. Keys that are revoked or over stay for the record as long as the history does.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from difflib import get_close_matches
from functools import partial
from typing import Any, Final

from django.db import IntegrityError, transaction

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
from timers.exceptions import InvalidRequest, NotAllowedNow, StaleVersion, TimerExists, TimerNotFound
from timers.models import ApplicationKey
from timers.schedules.duration import MICROSECONDS_PER_SECOND, parse_duration
from timers.security.api_keys.format import new_key

EDITABLE: Final = ("name", "scopes", "groups", "all_groups", "allowed_addresses", "expires_at", "rate")
"""What update_key takes. The user of a key stays: what it did was done for that one."""
OVERLAP: Final = timedelta(days=1)
"""How long the secret that was replaced holds too, when nothing else is said."""
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
    """Make a key; returns its row and its text, which nobody can read again.

    `user`: a row or a name; `groups`: names, or `all_groups` instead, one of the two; `allowed_addresses`: networks it
    may be used from, empty: everywhere; `rate`: requests per second in each web process. Raises InvalidRequest for
    every field that makes no sense, TimerExists for a name that another living key has.
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
    """Change fields of a key (see EDITABLE); it takes effect within a second.

    Groups that are named take the place of those it had, or of all. `version`: refuse with StaleVersion when someone
    changed the key since it was read. Raises InvalidRequest, TimerExists, TimerNotFound, NotAllowedNow for a revoked
    key.
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
    """Give a key another secret; returns its row and its new text, which nobody can read again.

    `overlap`: seconds (or a duration) for which the secret until now holds too; a secret from before that one ends at
    once, so two hold at most. Raises InvalidRequest, TimerNotFound, StaleVersion, NotAllowedNow for a revoked key.
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
    """End a key for good; it is refused everywhere within a second. Once revoked, it stays as it is.

    Raises TimerNotFound, StaleVersion.
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
    """The groups to limit a key to; none for a key for all of them."""
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
