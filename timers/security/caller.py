"""Caller: who asks, and what they may."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from timers.security.scopes import ADMIN


@dataclass(frozen=True, slots=True)
class Caller:
    """An application key or a person, as faces ask about it."""

    actor: str
    """How records call it: `key billing-sender`, or the user's name."""
    user_id: Any
    key_id: int | None
    """None: a person who has signed in."""
    scopes: frozenset[str]
    groups: frozenset[str] | None
    """The names of the groups it may see; None: all. An empty set is none at all."""
    rate: float | None = None
    """Requests per second that it may make; None: as many as the settings say."""

    @property
    def identity(self) -> str:
        """What tells it from every other caller, for as long as it exists."""
        return f"user {self.user_id}" if self.key_id is None else f"key {self.key_id}"

    @property
    def has_all_groups(self) -> bool:
        """Whether it may see every group, and with them what concerns the whole cluster."""
        return self.groups is None

    def may(self, scope: str) -> bool:
        """Whether it has the scope; admin includes all others."""
        return scope in self.scopes or ADMIN in self.scopes

    def sees(self, group: str) -> bool:
        """Whether it may see the group of that name. What it may not see does not exist for it."""
        return self.groups is None or group in self.groups
