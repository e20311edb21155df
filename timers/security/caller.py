"""Caller: who makes a request, and what they may do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from timers.security.scopes import ADMIN


@dataclass(frozen=True, slots=True)
class Caller:
    """An application key or a person, with the permissions that faces check."""

    actor: str
    """Name in records: `key billing-sender`, or the user's name."""
    user_id: Any
    key_id: int | None
    """None: a signed-in person."""
    scopes: frozenset[str]
    groups: frozenset[str] | None
    """Names of the groups that the caller may see; None: all. An empty set: none."""
    rate: float | None = None
    """Maximum requests per second; None: the default of the settings."""

    @property
    def identity(self) -> str:
        """Unique identifier among all callers, for as long as the caller exists."""
        return f"user {self.user_id}" if self.key_id is None else f"key {self.key_id}"

    @property
    def has_all_groups(self) -> bool:
        """Whether the caller may see every group, and with them the data of the whole cluster."""
        return self.groups is None

    def may(self, scope: str) -> bool:
        """Return whether the caller has the scope; admin includes all others."""
        return scope in self.scopes or ADMIN in self.scopes

    def sees(self, group: str) -> bool:
        """Return whether the caller may see the group of that name. Other groups do not exist for it."""
        return self.groups is None or group in self.groups
