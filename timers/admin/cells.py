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
    "timeout": "↻", "lost": "↻", "discarded": "↻", "failed": "✕", "dead": "✕",
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


def when(moment: datetime | None, now: datetime | None = None) -> SafeString | str:
    """An instant to the millisecond, and how far from `now` it is."""
    if moment is None:
        return "–"
    text = timezone.localtime(moment).isoformat(sep=" ", timespec="milliseconds")
    if now is None:
        return format_html('<time datetime="{}">{}</time>', moment.isoformat(), text)
    seconds = (moment - now).total_seconds()
    relative = f"in {span(seconds)}" if seconds > 0 else f"{span(-seconds)} ago"
    return format_html(
        '<time datetime="{}">{}</time> <span class="timers-soft">{}</span>', moment.isoformat(), text, relative
    )


def link(to: str, key: object, text: str) -> SafeString:
    """A link to another record's page."""
    return format_html('<a href="{}">{}</a>', reverse(f"admin:timers_{to}_change", args=[key]), text)
