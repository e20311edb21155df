"""The values of secrets, for the workers that send them. No API, console or admin page reads them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from timers.actions.signing import signing_key
from timers.models import Secret
from timers.security.encryption import Keyring, Sealed, Unopenable


@dataclass(frozen=True, slots=True)
class SecretValue:
    """A secret in use; it never shows its values."""

    name: str
    kind: str
    groups: tuple[str, ...]
    hosts: tuple[str, ...]
    value: str = field(repr=False)
    previous: str | None = field(default=None, repr=False)
    previous_until: datetime | None = None
    group_ids: tuple[int, ...] = ()

    def signing_keys(self, now: datetime) -> list[bytes]:
        """Return the keys that sign at this instant: the current one and, during a rotation, the previous one."""
        keys = [signing_key(self.value)]
        if self.previous is not None and self.previous_until is not None and now < self.previous_until:
            keys.append(signing_key(self.previous))
        return keys

    def why_not_for(self, kind: str, group: str, group_id: int, host: str) -> str | None:
        """Return why it may not be used like this, as text; None: it may. See refusal().

        Args:
            kind: the kind of use.
            group: the group's name.
            group_id: the group's id; 0: it does not exist yet.
            host: the host that the timer calls.
        """
        return refusal(self, kind, group, group_id, host)


class Bounds(Protocol):
    """The kind of a secret, and what it may be used for."""

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def groups(self) -> Collection[str]: ...
    @property
    def group_ids(self) -> Collection[int]: ...
    @property
    def hosts(self) -> Collection[str]: ...


def refusal(secret: Bounds, kind: str, group: str, group_id: int, host: str) -> str | None:
    """Return why a secret may not be used for a call by a group's timer, as text; None: it may.

    Args:
        secret: the secret.
        kind: the kind of use.
        group: the group's name.
        group_id: the group's id, because another group may later have the same name; 0: it does not exist yet.
        host: the host that the timer calls.
    """
    if secret.kind != kind:
        return f"the secret {secret.name!r} is of the kind {secret.kind}, not {kind}"
    if not _is_for(secret, group, group_id):
        return f"the secret {secret.name!r} is not for group {group!r}"
    hosts = secret.hosts
    if kind != Secret.Kind.CERTIFICATES and hosts and not any(_matches(host, pattern) for pattern in hosts):
        return f"the secret {secret.name!r} is not for host {host!r}"
    return None


def _is_for(secret: Bounds, group: str, group_id: int) -> bool:
    if not secret.groups and not secret.group_ids:
        return True
    if group_id:
        return group_id in secret.group_ids
    # Reserved for the first group that is created under the name (zip: deleted groups have no names).
    return (group, 0) in zip(secret.groups, secret.group_ids, strict=False)


def _matches(host: str, pattern: str) -> bool:
    return host.endswith(pattern[1:]) if pattern.startswith("*.") else host == pattern


def read_secrets(names: Collection[str]) -> dict[str, SecretValue | str]:
    """Return the secrets of those names, or the reason why one cannot be opened; missing ones are left out."""
    keyring = Keyring.in_force()
    found: dict[str, SecretValue | str] = {}
    for row in Secret.objects.filter(name__in=names):
        try:
            found[row.name] = _opened(row, keyring)
        except Unopenable as error:
            found[row.name] = f"the secret {row.name!r} cannot be read: {error}"
    return found


def _opened(row: Secret, keyring: Keyring) -> SecretValue:
    previous = None
    if row.previous_value is not None:
        previous = keyring.open(Sealed(row.previous_key, bytes(row.previous_value)), context(row.name))
    value = keyring.open(Sealed(row.key, bytes(row.value)), context(row.name))
    return SecretValue(
        row.name, row.kind, tuple(row.groups), tuple(row.hosts), value, previous, row.previous_until,
        tuple(row.group_ids),
    )  # fmt: skip


def context(name: str) -> str:
    """Return the context that a secret's value is bound to: it opens only in the row of its own name."""
    return f"secret {name}"
