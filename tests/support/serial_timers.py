"""Timers whose executions never run at once, and the steps of one execution."""

from __future__ import annotations

from tests import factories
from timers.engine.execution import Execution
from timers.models import Timer
from timers.scheduling import schedule_cron, schedule_fixed_rate
from timers.testing import Stepper

SERIAL = ("skip", "queue", "replace")
"""The overlap policies under which two executions of a timer never run at once."""


def rate(policy: str, period: float = 60, **of_group: object) -> Timer:
    factories.group("work", overlap_policy=policy, **of_group)
    return schedule_fixed_rate("work", "t", period=period)


def minutely(policy: str) -> Timer:
    """A timer that has a past."""
    factories.group("work", overlap_policy=policy)
    return schedule_cron("work", "t", expression="* * * * *")


def running(node: Stepper, seconds: float = 60) -> Execution:
    """The scheduled execution that comes in so many seconds, claimed and not ended."""
    node.time.advance(seconds)
    (execution,) = node.claim()
    return execution


def finish(node: Stepper) -> None:
    node.run()
    node.finish()
