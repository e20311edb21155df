"""Receivers that report that they are gone: their subscriptions are paused automatically."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from timers.control.audit import audit_suppressed
from timers.control.subscriptions import pause_subscription
from timers.engine.outcome import Outcome, Verdict
from timers.exceptions import TimerNotFound

GoneReceivers = dict[tuple[str, str], str]
"""The reason of the pause, by group and subscription."""


def gone_receivers(verdicts: Iterable[tuple[Outcome, Verdict]]) -> GoneReceivers:
    """Return the subscriptions whose receivers are gone by these verdicts. The verdict itself pauses timers."""
    gone: GoneReceivers = {}
    for outcome, verdict in verdicts:
        if outcome.pauses and verdict.next in ("park", "drop"):
            group = outcome.execution.group
            subscriber = group.subscriber(outcome.execution.subscription)
            if subscriber is not None:
                gone[group.name, subscriber.name] = outcome.pauses
    return gone


def pause_gone_receivers(gone: GoneReceivers) -> None:
    """Pause these subscriptions; the timer's others continue. A pause waits for concurrent fires, so it comes last."""
    for (group_name, name), reason in gone.items():
        with suppress(TimerNotFound), audit_suppressed():
            pause_subscription(group_name, name, reason=f"paused itself: {reason}")
