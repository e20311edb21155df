"""Concern: a problem of the cluster that an operator should know about or act on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["well", "attention", "trouble"]


@dataclass(frozen=True, slots=True)
class Concern:
    """A problem of the cluster that an operator should know about or act on."""

    level: Level
    text: str
    command: str = ""
    """Shell command, if one command solves the problem."""
