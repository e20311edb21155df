"""Cells that several lists share: states with icon, word and colour; times; links."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from django.db.models import DateTimeField, Func
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from timers.insights.words import span

_SHAPES: Final = {
    "active": "✓", "succeeded": "✓", "ready": "◷", "starting": "◷", "snoozed": "◷", "paused": "❚❚", "standby": "❚❚",
    "finished": "⚑", "cancelled": "■", "stopped": "■", "skipped": "»", "draining": "↓", "suspect": "▲", "error": "↻",
    "timeout": "↻", "lost": "↻", "discarded": "↻", "failed": "✕", "dead": "✕", "valid": "✓", "expiring": "▲",
    "expired": "■", "pending": "❚❚", "scheduled": "◷", "revoked": "✕", "done": "✓", "running": "▸",
}  # fmt: skip


def read_at() -> Func:
    """Return the database's present instant as a column, so that a list need not query it for each row."""
    return Func(function="timers_now", output_field=DateTimeField())


def state(word: str) -> SafeString | str:
    """Render a state or outcome."""
    if not word:
        return "–"
    return format_html(
        '<span class="timers-state timers-{}"><span aria-hidden="true">{}</span> {}</span>',
        word,
        _SHAPES.get(word, "•"),
        word,
    )


def when(moment: datetime | None) -> SafeString | str:
    """Render an instant in full, to the millisecond, with its zone."""
    if moment is None:
        return "–"
    local = timezone.localtime(moment)
    text = f"{local:%Y-%m-%d %H:%M:%S}.{local.microsecond // 1000:03} {local:%Z}"
    return format_html('<time class="timers-time" datetime="{}">{}</time>', moment.isoformat(), text)


def near(moment: datetime | None, now: datetime) -> SafeString | str:
    """Render an instant for a narrow cell: without the date if it is today, and with its distance from `now`."""
    if moment is None:
        return "–"
    local, seconds = timezone.localtime(moment), (moment - now).total_seconds()
    text = f"{local:%H:%M:%S}.{local.microsecond // 1000:03}"
    if local.date() != timezone.localtime(now).date():
        text = f"{local:%Y-%m-%d %H:%M:%S}"
    return format_html(
        '<time class="timers-time" datetime="{}" title="{}">{}</time> <span class="timers-soft">{}</span>',
        moment.isoformat(),
        f"{local:%Y-%m-%d %H:%M:%S %Z}",
        text,
        f"in {span(seconds)}" if seconds > 0 else f"{span(-seconds)} ago",
    )


def link(to: str, key: object, text: str) -> SafeString:
    """Render a link to another record's page."""
    return format_html('<a href="{}">{}</a>', reverse(f"admin:timers_{to}_change", args=[key]), text)
