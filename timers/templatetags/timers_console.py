"""Template tags and filters for times, durations and states."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from django import template
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from timers.insights.words import milliseconds, percent, span

register = template.Library()

ICONS: Final = {
    "active": "check",
    "succeeded": "check",
    "starting": "clock",
    "ready": "clock",
    "standby": "pause",
    "paused": "pause",
    "draining": "down",
    "stopped": "square",
    "cancelled": "square",
    "finished": "flag",
    "skipped": "skip",
    "suspect": "alert",
    "error": "again",
    "timeout": "again",
    "lost": "again",
    "discarded": "again",
    "snoozed": "clock",
    "dead": "cross",
    "failed": "cross",
    "well": "check",
    "attention": "alert",
    "trouble": "cross",
}
"""Icon shape of each state, so that states differ in more than their colour."""


@register.filter
def icon(state: str) -> str:
    """Return the name of a state's icon."""
    return ICONS.get(state, "dot")


@register.simple_tag
def when(moment: datetime | None, now: datetime, finest: str = "seconds") -> SafeString:
    """Render an instant as `<time>`: wall-clock time (with the date unless it is today) and distance from now."""
    if moment is None:
        return format_html('<span class="none">{}</span>', "–")
    seconds = (moment - now).total_seconds()
    return format_html(
        '<time datetime="{}" title="{}">{} <span class="rel">{}</span></time>',
        _iso(moment),
        moment.astimezone(UTC).isoformat(sep=" ", timespec="microseconds"),
        _clock(moment, now, finest),
        f"in {span(seconds)}" if seconds > 0 else f"{span(-seconds)} ago",
    )


@register.simple_tag
def countdown(moment: datetime, now: datetime) -> SafeString:
    """Render the time left until an instant; console.js counts it down between two refreshes."""
    left = (moment - now).total_seconds()
    return format_html(
        '<time class="countdown" datetime="{}" data-left="{}">{}</time>',
        _iso(moment),
        f"{left:.3f}",
        "due now" if left <= 0 else f"in {span(left)}",
    )


@register.filter
def lateness(value: float | None) -> str:
    """Format a lateness in milliseconds; empty for None."""
    return "" if value is None else milliseconds(value)


@register.filter
def length(seconds: float | None) -> str:
    """Format a duration in seconds."""
    return "" if seconds is None else span(seconds)


@register.filter
def share(fraction: float | None) -> str:
    """Format a fraction (0 to 1) as a percentage; a dash for None."""
    return "–" if fraction is None else percent(fraction)


def _clock(moment: datetime, now: datetime, finest: str) -> str:
    local, today = timezone.localtime(moment), timezone.localtime(now)
    clock = local.isoformat(sep=" ", timespec=finest)[11:]
    clock = clock.split("+")[0].split("-")[0]
    return clock if local.date() == today.date() else f"{local:%Y-%m-%d} {clock}"


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"
