"""Validation of an application key's fields: each check returns the value to store, or raises InvalidRequest."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime
from difflib import get_close_matches
from ipaddress import ip_interface, ip_network
from typing import Any, Final

from django.contrib.auth import get_user_model

from timers.control.names import check_name
from timers.exceptions import InvalidRequest
from timers.models import ApplicationKey, TimerGroup
from timers.models.application_key import KEY_NAME_LENGTH
from timers.schedules.instant import parse_instant

MOST_RATE: Final = 1_000_000.0
MOST_ENTRIES: Final = 1_000
"""Maximum number of groups, or networks, of one key."""
_SUGGESTED_FROM: Final = 1_000

# Prevents their deletion until the key that names them is saved.
_GROUPS: Final = "SELECT id, name FROM timers_timer_group WHERE name = ANY(%s) ORDER BY id FOR KEY SHARE"


def check_key_name(value: Any) -> str:
    """Check a name: 1 to 100 characters."""
    if isinstance(value, str) and not 1 <= len(value) <= KEY_NAME_LENGTH:
        raise InvalidRequest(
            "name", f"must have 1 to {KEY_NAME_LENGTH} characters; this has {len(value):,}", given=value
        )
    return check_name("name", value)


def check_user(value: Any) -> Any:
    """Return the user, given as a row or by name; the user must be active."""
    users = get_user_model()
    if isinstance(value, str):
        found = users.objects.filter(**{users.USERNAME_FIELD: value}).first()
        if found is None:
            known = users.objects.values_list(users.USERNAME_FIELD, flat=True)[:_SUGGESTED_FROM]
            hint = _hint(value, known, "create the user first")
            raise InvalidRequest("user", f"there is no such user; {hint}", given=value)
        value = found
    if not isinstance(value, users):
        raise InvalidRequest("user", "must be the name of the user that the key acts for", given=value)
    if not value.is_active:
        raise InvalidRequest("user", "is not active, so the key would be refused", given=value.get_username())
    return value


def check_scopes(value: Any) -> list[str]:
    """Return at least one scope, without duplicates, in the documented order."""
    known = list(ApplicationKey.Scope.values)
    problems = []
    for scope in _texts("scopes", value, "scopes"):
        if scope not in known:
            hint = _hint(scope, known, f"known are {', '.join(known)}")
            problems.append(InvalidRequest("scopes", f"there is no such scope; {hint}", given=scope))
    if problems:
        raise InvalidRequest.combined(problems)
    if not value:
        raise InvalidRequest("scopes", f"are missing: name at least one of {', '.join(known)}")
    return [scope for scope in known if scope in value]


def check_groups(value: Any) -> list[TimerGroup]:
    """Return the rows of these groups, at least one. The error names every unknown group."""
    names = _texts("groups", value, "names of groups")
    if not names:
        raise InvalidRequest(
            "groups", "name at least one, or say all_groups: a key that is for no group is good for nothing"
        )
    rows = {row.name: row for row in TimerGroup.objects.raw(_GROUPS, [names])}
    unknown = [name for name in names if name not in rows]
    if unknown:
        known = list(TimerGroup.objects.values_list("name", flat=True)[:_SUGGESTED_FROM])
        raise InvalidRequest.combined(
            InvalidRequest("groups", f"there is no such group; {_hint(name, known, 'create it first')}", given=name)
            for name in unknown
        )
    return list(rows.values())


def check_addresses(value: Any) -> list[str]:
    """Return networks in canonical form, without duplicates."""
    networks, problems = [], []
    for text in _texts("allowed_addresses", value, "networks"):
        try:
            networks.append(_network(text))
        except InvalidRequest as error:
            problems.append(error)
    if problems:
        raise InvalidRequest.combined(problems)
    return list(dict.fromkeys(networks))


def check_expiry(value: Any, now: datetime) -> datetime | None:
    """Return an instant in the future; None: the key does not expire."""
    if value is None:
        return None
    at = parse_instant(value, "expires_at")
    if at <= now:
        raise InvalidRequest("expires_at", "has passed already", given=at.isoformat())
    return at


def check_rate(value: Any) -> float | None:
    """Return requests per second; None: the default of the settings."""
    if value is None:
        return None
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not (is_number and 0 < value <= MOST_RATE):
        bounds = f"must be a number of requests per second, above 0 and up to {MOST_RATE:,.0f}"
        raise InvalidRequest("rate", bounds, given=value)
    return float(value)


def checked(checks: dict[str, Callable[[], Any]]) -> dict[str, Any]:
    """Return the results of the checks by field. Raise all their errors as one."""
    values, problems = {}, []
    for field, check in checks.items():
        try:
            values[field] = check()
        except InvalidRequest as error:
            problems.append(error)
    if problems:
        raise InvalidRequest.combined(problems)
    return values


def _texts(field: str, value: Any, what: str) -> list[str]:
    if not isinstance(value, list | tuple | set | frozenset) or not all(isinstance(one, str) for one in value):
        raise InvalidRequest(field, f"must be a list of {what}", given=value)
    if len(value) > MOST_ENTRIES:
        raise InvalidRequest(field, f"must have at most {MOST_ENTRIES:,} entries; this has {len(value):,}")
    return list(dict.fromkeys(value))


def _network(text: str) -> str:
    try:
        return str(ip_network(text.strip()))
    except ValueError:
        near = _nearest_network(text.strip())
    hint = f"did you mean {near}?" if near else "give it as 10.20.0.0/16, 192.0.2.7 or 2001:db8::/32"
    raise InvalidRequest("allowed_addresses", f"is no network; {hint}", given=text)


def _nearest_network(text: str) -> str | None:
    """Return the network that was probably meant: one with host bits set, or with stars for the last numbers."""
    parts = text.split(".")
    numbers = [part for part in parts if part != "*"]
    if len(parts) == 4 and numbers and parts == numbers + ["*"] * (4 - len(numbers)) and len(numbers) < 4:
        text = ".".join(numbers + ["0"] * (4 - len(numbers))) + f"/{8 * len(numbers)}"
    try:
        return str(ip_interface(text).network)
    except ValueError:
        return None


def _hint(given: str, known: Collection[str], otherwise: str) -> str:
    near = get_close_matches(given, list(known), n=1)
    return f"did you mean {near[0]}?" if near else otherwise
