"""Cells that several lists share: a state as shape, word and colour; times; links."""

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
    """The database's now as a column, so that a list need not ask for it row by row."""
    return Func(function="timers_now", output_field=DateTimeField())


def state(word: str) -> SafeString | str:
    """A state or outcome."""
    if not word:
        return "–"
    return format_html(
        '<span class="timers-state timers-{}"><span aria-hidden="true">{}</span> {}</span>',
        word,
        _SHAPES.get(word, "•"),
        word,
    )


def when(moment: datetime | None) -> SafeString | str:
    """An instant in full, to the millisecond, with its zone."""
    if moment is None:
        return "–"
    local = timezone.localtime(moment)
    text = f"{local:%Y-%m-%d %H:%M:%S}.{local.microsecond // 1000:03} {local:%Z}"
    return format_html('<time class="timers-time" datetime="{}">{}</time>', moment.isoformat(), text)


def near(moment: datetime | None, now: datetime) -> SafeString | str:
    """An instant for a narrow cell: without the date when it is today's, and how far from `now` it is."""
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
    """A link to another record's page."""
    return format_html('<a href="{}">{}</a>', reverse(f"admin:timers_{to}_change", args=[key]), text)
