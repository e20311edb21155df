"""Properties of a message, claimed directly or by `consume`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any


class Received:
    """A message with an envelope."""

    __slots__ = ()

    envelope: Mapping[str, Any]
    """The whole envelope, with the keys Group, Name, NumberOfTry, FireTime, ScheduledFireTime, Payload and others."""

    @property
    def payload(self) -> Any:
        """The payload, unchanged."""
        return self.envelope["Payload"]

    @property
    def group(self) -> str:
        """The timer's group."""
        return str(self.envelope["Group"])

    @property
    def name(self) -> str:
        """The timer's name."""
        return str(self.envelope["Name"])

    @property
    def number_of_try(self) -> int:
        """Number of the attempt, from 1."""
        return int(self.envelope["NumberOfTry"])

    @property
    def fire_time(self) -> datetime:
        """When it was delivered."""
        return datetime.fromisoformat(self.envelope["FireTime"])

    @property
    def scheduled_fire_time(self) -> datetime:
        """When it was due."""
        return datetime.fromisoformat(self.envelope["ScheduledFireTime"])

    @property
    def fence(self) -> int:
        """Number that rises with each attempt: the receiver of effects can refuse those of an older attempt."""
        return int(self.envelope["Fence"])
