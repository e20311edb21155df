"""Rollout: what a starting node does in the database for the code and time zone rules with which it was deployed.

A thread of the supervisor. A failure is logged and stops nothing: existing timers continue unchanged.
"""

from __future__ import annotations

import logging
from typing import Final

from timers import declaring
from timers.conf import Conf
from timers.control.sync import reconcile
from timers.engine.zone_rules import apply_zone_rules
from timers.exceptions import TimersError
from timers.worker.loop import Loop, is_database_fault

LOOK_AGAIN_SECONDS: Final = 600.0
"""Seconds between checks for nodes with older time zone rules that have ended meanwhile."""

logger = logging.getLogger(__name__)


class Rollout:
    """Reconciles the code's declarations once, and applies newer time zone rules."""

    def __init__(self, node: str, settings: Conf, *, reconciles: bool = True) -> None:
        self._node = node
        self._reconciles = reconciles and settings.sync_declared
        self.loop = Loop("rollout", self.step)

    def step(self) -> float:
        """Make one pass. Return the seconds to the next."""
        if self._reconciles:
            self._reconcile()
            self._reconciles = False
        applied = apply_zone_rules(self._node)
        if applied is not None:
            logger.warning("time zone rules %s", applied.words)
        return LOOK_AGAIN_SECONDS

    def _reconcile(self) -> None:
        """Reconcile; errors in the declarations are permanent and logged, an unavailable database is retried."""
        try:
            report = reconcile(declaring.declarations(), node=self._node)
        except TimersError as error:
            logger.error("the declared timers are not reconciled: %s", error)
            return
        except Exception as error:
            if is_database_fault(error):
                raise
            logger.exception("the declared timers are not reconciled")
            return
        for entry in report.conflicts:
            logger.warning("declared timer %s is in conflict: %s", entry, entry.why)
        if not report.empty:
            logger.info("declared timers reconciled: %s", report.words)
