"""Query of secrets, without their values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from timers.models import Secret


@dataclass(frozen=True, slots=True)
class SecretView:
    """A secret without its value."""

    name: str
    kind: str
    description: str
    groups: tuple[str, ...]
    hosts: tuple[str, ...]
    key: str
    """Name of the key that it is encrypted with."""
    previous_until: datetime | None
    version: int
    updated_at: datetime
    updated_by: str
    all_groups: bool
    """Whether every group may use it. If not, and it has no group, none may: its groups were deleted."""


def secrets() -> list[SecretView]:
    """Return all secrets by name."""
    return [
        SecretView(
            row.name, row.kind, row.description, tuple(row.groups), tuple(row.hosts), row.key, row.previous_until,
            row.version, row.updated_at, row.updated_by, row.is_for_all_groups,
        )
        for row in Secret.objects.defer("value", "previous_value").order_by("name")
    ]  # fmt: skip
