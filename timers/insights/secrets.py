"""Secrets: what is kept, without the values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from timers.models import Secret


@dataclass(frozen=True, slots=True)
class SecretView:
    """A secret as anybody may see it."""

    name: str
    kind: str
    description: str
    groups: tuple[str, ...]
    hosts: tuple[str, ...]
    key: str
    """The name of the key that it is encrypted with."""
    previous_until: datetime | None
    version: int
    updated_at: datetime
    updated_by: str
    all_groups: bool
    """Whether it is for every group; without, and without a group, it is for none: its groups were deleted."""


def secrets() -> list[SecretView]:
    """All secrets by name."""
    return [
        SecretView(
            row.name, row.kind, row.description, tuple(row.groups), tuple(row.hosts), row.key, row.previous_until,
            row.version, row.updated_at, row.updated_by, row.is_for_all_groups,
        )
        for row in Secret.objects.defer("value", "previous_value").order_by("name")
    ]  # fmt: skip
