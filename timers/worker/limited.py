"""Limited: what a claimer knows of groups at their limits, so that polling them costs other groups nothing."""

from __future__ import annotations

from collections.abc import Sequence

from timers.engine.due import DueWork, Part
from timers.engine.execution import ServedGroup


class Limited:
    """Which parts were at a limit in this pass, and which groups rest until a known instant."""

    def __init__(self) -> None:
        self.parts: set[Part] = set()
        """Parts whose group allowed no more in this pass: all workers leave the remaining work."""
        self._rests: dict[int, tuple[int, int]] = {}

    def awake(self, work: Sequence[DueWork], now_us: int) -> Sequence[DueWork]:
        """Begin a pass. Return the work of groups that do not rest."""
        self.parts.clear()
        return [item for item in work if not self._is_resting(item.group, now_us)] if self._rests else work

    def rest(self, group: ServedGroup, until_us: int) -> None:
        """Skip a group until an instant (microseconds by the database's clock), or until it is changed."""
        self._rests[group.id] = group.version, until_us

    def end_rests(self) -> None:
        """End all rests: the clock that they use has stepped."""
        self._rests.clear()

    def _is_resting(self, group: ServedGroup, now_us: int) -> bool:
        version, until_us = self._rests.get(group.id, (0, 0))
        if version == group.version and now_us < until_us:
            return True
        self._rests.pop(group.id, None)
        return False
