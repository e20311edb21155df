"""The values of secrets, for those who send them: workers. No face reads them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime

from timers.actions.signing import signing_key
from timers.encryption import Keyring, Sealed, Unopenable
from timers.models import Secret


@dataclass(frozen=True, slots=True)
class SecretValue:
    """A secret while it is in use; it never shows its values."""

    name: str
    kind: str
    groups: tuple[str, ...]
    hosts: tuple[str, ...]
    value: str = field(repr=False)
    previous: str | None = field(default=None, repr=False)
    previous_until: datetime | None = None

    def signing_keys(self, now: datetime) -> list[bytes]:
        """The keys that sign at this instant: the present one and, while it is being changed, the one before."""
        keys = [signing_key(self.value)]
        if self.previous is not None and self.previous_until is not None and now < self.previous_until:
            keys.append(signing_key(self.previous))
        return keys

    def why_not_for(self, kind: str, group: str, host: str) -> str | None:
        """Why it may not be used so, in words; None: it may."""
        return refusal(self.name, self.kind, self.groups, self.hosts, kind, group, host)


def refusal(
    name: str, is_kind: str, groups: Collection[str], hosts: Collection[str], kind: str, group: str, host: str
) -> str | None:
    """Why a secret may not be used as `kind` by a group's timer that calls a host, in words; None: it may."""
    if is_kind != kind:
        return f"the secret {name!r} is of the kind {is_kind}, not {kind}"
    if groups and group not in groups:
        return f"the secret {name!r} is not for group {group!r}"
    if kind != Secret.Kind.CERTIFICATES and hosts and not any(_matches(host, pattern) for pattern in hosts):
        return f"the secret {name!r} is not for host {host!r}"
    return None


def _matches(host: str, pattern: str) -> bool:
    return host.endswith(pattern[1:]) if pattern.startswith("*.") else host == pattern


def read_secrets(names: Collection[str]) -> dict[str, SecretValue | str]:
    """The secrets of those names; instead of one that does not open: why. One that does not exist is left out."""
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
    return SecretValue(row.name, row.kind, tuple(row.groups), tuple(row.hosts), value, previous, row.previous_until)


def context(name: str) -> str:
    """What a secret's value is bound to: it opens in the row of its own name only."""
    return f"secret {name}"
