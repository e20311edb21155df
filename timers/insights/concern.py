"""Concern: something about the cluster that a person should know or do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["well", "attention", "trouble"]


@dataclass(frozen=True, slots=True)
class Concern:
    """Something about the cluster that a person should know or do."""

    level: Level
    text: str
    command: str = ""
    """What to type, where one command mends it."""
