"""Secrets: create, replace, delete, re-encrypt. A value is never shown again after it was stored."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import IntegrityError

from timers import clock
from timers.actions.certificates import check_certificates
from timers.actions.http import HttpAction
from timers.actions.signing import new_signing_secret, signing_key
from timers.actions.target import parse_host
from timers.control.audit import audited
from timers.control.names import check_name, check_text
from timers.database import connection
from timers.engine.secret_values import context, refusal
from timers.exceptions import InvalidRequest, NotAllowedNow, TimerNotFound
from timers.models import Secret, TimerGroup
from timers.security.encryption import Keyring, Sealed, Unopenable

MAX_BYTES: Final = 64 * 1024
OVERLAP: Final = timedelta(days=1)
"""Default time for which a replaced signing key continues to sign."""
_BATCH: Final = 500


def create_secret(
    name: str,
    value: str | None = None,
    *,
    kind: str = Secret.Kind.TEXT,
    groups: Collection[str] = (),
    hosts: Collection[str] = (),
    description: str = "",
    actor: str = "",
) -> str | None:
    """Store a secret. A signing key without a value is generated, and returned this once.

    Args:
        name: name of the secret.
        value: the value; None: generate it (signing keys only).
        kind: kind of the secret.
        groups: groups whose timers may use it; empty: all.
        hosts: hosts to which it may be sent; empty: all.
        description: text for people.
        actor: who requests it; empty: the current actor.

    Returns:
        The generated signing key; None if a value was given.

    Raises:
        InvalidRequest: a field is invalid, or the name is taken.
        NotAllowedNow: there is no key to encrypt with.
    """
    problems: list[InvalidRequest] = []
    for check in (
        lambda: check_name("name", name),
        lambda: _check_kind(kind),
        lambda: _check_scope(groups, hosts),
        lambda: check_text("description", description),
    ):
        try:
            check()
        except InvalidRequest as error:
            problems.append(error)
    if problems:
        raise InvalidRequest.combined(problems)
    plain, made = _plain(kind, value)
    sealed = Keyring.in_force().seal(plain, context(name))
    now = clock.now()
    try:
        with audited("secret.create", actor, name=name) as entry:
            row = Secret.objects.create(
                name=name, kind=kind, description=description, groups=list(groups), hosts=list(hosts),
                group_ids=_identities(groups), key=sealed.key, value=sealed.content, created_at=now, updated_at=now,
                created_by=actor, updated_by=actor,
            )  # fmt: skip
            entry.made(row)
    except IntegrityError:
        raise InvalidRequest(
            "name", "is taken by another secret; replace it, or choose another name", given=name
        ) from None
    return plain if made else None


def replace_secret(
    name: str,
    value: str | None = None,
    *,
    overlap: timedelta = OVERLAP,
    kind: str | None = None,
    groups: Collection[str] | None = None,
    hosts: Collection[str] | None = None,
    description: str | None = None,
    actor: str = "",
) -> str | None:
    """Replace the value of a secret; workers use it within seconds. A generated signing key is returned this once.

    Args:
        name: name of the secret.
        value: the new value; None: generate it (signing keys only).
        overlap: how long a replaced signing key continues to sign, so that receivers can change over.
        kind: the secret's present kind; InvalidRequest for another. None: not checked.
        groups: as for limit_secret.
        hosts: as for limit_secret.
        description: as for limit_secret.
        actor: who requests it; empty: the current actor.
    """
    _check_scope(groups or (), hosts or ())
    check_text("description", description or "")
    if overlap < timedelta():
        raise InvalidRequest("overlap", "must not be negative", given=str(overlap))
    with audited("secret.replace", actor, name=name) as entry:
        row = entry.watch(_locked(name))
        if kind not in {None, row.kind}:
            raise InvalidRequest("kind", f"stays {row.kind}; delete the secret and create it again", given=kind)
        plain, made = _plain(row.kind, value)
        now = clock.now()
        if row.kind == Secret.Kind.SIGNING and overlap:
            row.previous_key, row.previous_value, row.previous_until = row.key, row.value, now + overlap
        else:
            row.previous_key, row.previous_value, row.previous_until = "", None, None
        sealed = Keyring.in_force().seal(plain, context(name))
        row.key, row.value = sealed.key, sealed.content
        _limit(row, groups, hosts, description)
        _save(row, now, actor)
    return plain if made else None


def limit_secret(
    name: str,
    *,
    groups: Collection[str] | None = None,
    hosts: Collection[str] | None = None,
    description: str | None = None,
    actor: str = "",
) -> None:
    """Change whose timers may use a secret, where it may be sent, and its description; the value is unchanged.

    Args:
        name: name of the secret.
        groups: groups whose timers may use it; empty: all, None: unchanged.
        hosts: hosts to which it may be sent; empty: all, None: unchanged.
        description: text for people; None: unchanged.
        actor: who requests it; empty: the current actor.

    Raises:
        InvalidRequest: a field is invalid.
        TimerNotFound: there is no such secret.
    """
    _check_scope(groups or (), hosts or ())
    check_text("description", description or "")
    with audited("secret.limit", actor, name=name) as entry:
        row = entry.watch(_locked(name))
        _limit(row, groups, hosts, description)
        if entry.has_changes:
            _save(row, clock.now(), actor)
        else:
            entry.nothing()


def _limit(row: Secret, groups: Collection[str] | None, hosts: Collection[str] | None, description: str | None) -> None:
    if groups is not None:
        row.groups, row.group_ids = list(groups), _identities(groups)
    row.hosts = row.hosts if hosts is None else list(hosts)
    row.description = row.description if description is None else description


def _identities(groups: Collection[str]) -> list[int]:
    """Return the ids of groups in the order of their names; 0 for a group that does not exist yet."""
    known = dict(TimerGroup.objects.filter(name__in=list(groups)).values_list("name", "id")) if groups else {}
    return [known.get(name, 0) for name in groups]


_USERS: Final = """
SELECT 'group ' || g.name FROM timers_timer_group g WHERE {uses}
UNION ALL
SELECT 'timer ' || h.name || '/' || g.name FROM timers_timer g JOIN timers_timer_group h ON h.id = g.group_id
WHERE g.action IS NOT NULL AND g.state IN ('active', 'paused') AND {uses}
UNION ALL
SELECT 'subscription ' || h.name || '/' || g.name
FROM timers_subscription g JOIN timers_timer_group h ON h.id = g.group_id WHERE g.state <> 'deleted' AND {uses}
LIMIT 4
""".format(
    uses="g.action ->> 'kind' = 'http' AND %(name)s IN"
    " (g.action -> 'auth' ->> 'secret', g.action ->> 'sign', g.action ->> 'ca_bundle')"
)


def users_of(name: str) -> list[str]:
    """Return groups, timers and subscriptions whose action refers to a secret, as text; only the first few."""
    with connection.cursor() as cursor:
        cursor.execute(_USERS, {"name": name})
        return [words for (words,) in cursor.fetchall()]


def delete_secret(name: str, *, actor: str = "") -> None:
    """Delete a secret. Raise NotAllowedNow while a group, a living timer or a subscription refers to it."""
    with audited("secret.delete", actor, name=name) as entry:
        row = entry.gone(_locked(name, for_deletion=True))
        users = users_of(name)
        if users:
            raise NotAllowedNow(f"the secret {name!r} is in use: {', '.join(users[:3])}{', ...' * (len(users) > 3)}")
        row.delete()


_USED: Final = "SELECT * FROM timers_secret WHERE name = ANY(%s) ORDER BY name FOR KEY SHARE"


def check_secrets(action: HttpAction, group: str) -> None:
    """Raise InvalidRequest if an action refers to secrets that do not exist, or that are not for this group or host.

    The secrets cannot be deleted until the caller's transaction, which saves the action, ends.
    """
    wanted = action.secrets()
    if not wanted:
        return
    (group_id,) = _identities([group])
    rows = {row.name: row for row in Secret.objects.raw(_USED, [sorted({name for _, name, _ in wanted})])}
    problems = []
    for field, name, kind in wanted:
        row = rows.get(name)
        if row is None:
            problems.append(InvalidRequest(field, "there is no such secret; create it first", given=name))
        elif reason := refusal(row, kind, group, group_id, action.target.host):
            problems.append(InvalidRequest(field, reason))
    if problems:
        raise InvalidRequest.combined(problems)


def encrypt_anew(*, batch: int = _BATCH, actor: str = "") -> int:
    """Re-encrypt with the first key everything that uses another one. Return the number of secrets.

    Workers continue meanwhile: a row is read either before or after its change. Raise Unopenable for the first secret
    whose key no longer exists.
    """
    keyring = Keyring.in_force()
    first, done = keyring.first, 0
    while True:
        with audited("secret.encrypt_anew", actor) as entry:
            rows = list(
                Secret.objects.exclude(key=first, previous_key__in=["", first])
                .select_for_update(no_key=True)
                .order_by("name")[:batch]
            )
            for row in rows:
                sealed = keyring.seal(_open(keyring, row.name, row.key, row.value), context(row.name))
                row.key, row.value = sealed.key, sealed.content
                if row.previous_value is not None:
                    plain = _open(keyring, row.name, row.previous_key, row.previous_value)
                    sealed = keyring.seal(plain, context(row.name))
                    row.previous_key, row.previous_value = sealed.key, sealed.content
            if not rows:
                entry.nothing()
            entry.many(secrets=[row.name for row in rows])
            entry.told(key=first)
            Secret.objects.bulk_update(rows, ["key", "value", "previous_key", "previous_value"])
        done += len(rows)
        if len(rows) < batch:
            return done


def _open(keyring: Keyring, name: str, key: str, content: Any) -> str:
    try:
        return keyring.open(Sealed(key, bytes(content)), context(name))
    except Unopenable as error:
        raise Unopenable(f"the secret {name!r}: {error}") from None


def _locked(name: str, *, for_deletion: bool = False) -> Secret:
    row: Secret | None = Secret.objects.select_for_update(no_key=not for_deletion).filter(name=name).first()
    if row is None:
        raise TimerNotFound(f"there is no secret {name!r}")
    return row


def _save(row: Secret, now: datetime, actor: str) -> None:
    row.version += 1
    row.updated_at, row.updated_by = now, actor
    row.save()


def _plain(kind: str, value: str | None) -> tuple[str, bool]:
    """Return the value to store, and whether it was generated here."""
    if value is None:
        if kind != Secret.Kind.SIGNING:
            raise InvalidRequest("value", "is missing")
        return new_signing_secret(), True
    if not isinstance(value, str) or not value or len(value.encode(errors="replace")) > MAX_BYTES:
        raise InvalidRequest("value", f"must be text of 1 to {MAX_BYTES:,} bytes")
    if kind == Secret.Kind.SIGNING:
        signing_key(value)
    elif kind == Secret.Kind.CERTIFICATES:
        check_certificates(value, "value")
    elif not value.isprintable() or value != value.strip():
        raise InvalidRequest(
            "value", "must not hold line breaks or other control characters, or begin or end with a space"
        )
    return value, False


def _check_kind(kind: str) -> None:
    if kind not in Secret.Kind.values:
        raise InvalidRequest("kind", f"must be one of {', '.join(Secret.Kind.values)}", given=kind)


def _check_scope(groups: Collection[str], hosts: Collection[str]) -> None:
    for field, names in (("groups", groups), ("hosts", hosts)):
        if isinstance(names, str):
            raise InvalidRequest(field, "must be a list of names", given=names)
    for group in groups:
        check_name("groups", group)
    for host in hosts:
        bare = host.removeprefix("*.") if isinstance(host, str) else ""
        if parse_host(bare, "hosts")[0] != bare:
            raise InvalidRequest(
                "hosts", "must be a name in lower case such as api.example.org or *.example.org", given=host
            )
