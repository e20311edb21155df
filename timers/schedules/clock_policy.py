"""Clock policy: what a wall-clock schedule does when the clock is set forward or back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, Self

from timers.domain.errors import ErrorCollector
from timers.domain.json_schema import choice
from timers.exceptions import InvalidRequest
from timers.schedules.kinds import Keyword

FIELDS = ("gap", "fold")
KEYWORDS: Final = (
    Keyword(
        "gap", choice("run_after", "skip"), "What becomes of times that are skipped.", label="When clocks go forward",
        choices=(("run_after", "run after the gap"), ("skip", "skip")),
    ),
    Keyword(
        "fold", choice("once", "twice"), "What becomes of times that are shown twice.", label="When clocks go back",
        choices=(("once", "fire once"), ("twice", "fire twice")),
    ),
)  # fmt: skip
"""The keywords of a kind that follows the wall clock."""
_CHOICES = {
    "gap": {"run_after": "a skipped time fires at the end of the gap", "skip": "a skipped time does not fire"},
    "fold": {"once": "a time shown twice fires the first time", "twice": "a time shown twice fires both times"},
}


@dataclass(frozen=True, slots=True)
class ClockPolicy:
    """How skipped walls (gap) and repeated walls (fold) are handled.

    None: the default of the schedule. As in Debian's cron, a schedule that names times of the day has run_after and
    once, so that it runs once a day on every day. One that repeats through the hours or minutes has skip and twice, so
    that it follows what the clock shows.
    """

    gap: Literal["run_after", "skip"] | None = None
    fold: Literal["once", "twice"] | None = None

    @classmethod
    def parse(cls, spec: Mapping[str, Any]) -> Self:
        """Parse the optional fields `gap` and `fold` of a spec. Raises InvalidRequest for any other value."""
        mistakes = ErrorCollector()
        for name in FIELDS:
            given = spec.get(name)
            if given is not None and (not isinstance(given, str) or given not in _CHOICES[name]):
                choices = " or ".join(f"{choice} ({means})" for choice, means in _CHOICES[name].items())
                mistakes.add(InvalidRequest(name, f"must be {choices}", given=given))
        mistakes.raise_if_any()
        return cls(spec.get("gap"), spec.get("fold"))

    def to_spec(self) -> dict[str, str]:
        """Return only the fields that were given, so that the default of a kind remains its own."""
        return {name: choice for name, choice in (("gap", self.gap), ("fold", self.fold)) if choice is not None}

    def completed(self, *, once_a_day: bool) -> ClockPolicy:
        """Return the policy with its defaults filled in.

        `once_a_day`: whether each time of the schedule runs once a day.
        """
        if once_a_day:
            return ClockPolicy(self.gap or "run_after", self.fold or "once")
        return ClockPolicy(self.gap or "skip", self.fold or "twice")


BY_DEFAULT = ClockPolicy()
