"""JSON in forms and pages: stored as written, and shown even if it cannot be parsed."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.html import format_html
from django.utils.safestring import SafeString

from timers.domain.payload import Unreadable, UnreadablePayload, decode

SHOWN = 8_192
"""Maximum number of characters of a body that a page shows."""


class JSONTextField(forms.JSONField):
    """A text area for JSON. Unlike Django's it refuses, instead of failing on, what Python cannot return unchanged."""

    widget = forms.Textarea(attrs={"class": "vLargeTextField timers-json", "rows": 5, "spellcheck": "false"})

    def to_python(self, value: Any) -> Any:
        if self.disabled or value in self.empty_values:
            return None
        try:
            return decode(value)
        except UnreadablePayload as error:
            raise ValidationError(f"This is no JSON: {error}") from None

    def bound_data(self, data: Any, initial: Any) -> Any:
        # The exact text that was typed, so that nothing is lost if it must be corrected.
        return initial if self.disabled else _Typed(data) if isinstance(data, str) else data

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, (_Typed, Unreadable)):
            return str(value)
        return "" if value is None else text_of(value)

    def has_changed(self, initial: Any, data: Any) -> bool:
        if isinstance(initial, Unreadable):
            return (data or "").strip() != initial.strip()
        try:
            return bool(self.to_python(data) != initial)
        except ValidationError:
            return True


class _Typed(str):
    """Text that a person typed into the field."""


def text_of(value: Any) -> str:
    """Format JSON for people: indented, with non-ASCII letters as they are."""
    try:
        return json.dumps(value, ensure_ascii=False, indent=2)
    except (ValueError, RecursionError):
        return "(too deep or too long to be shown)"


def body(value: Any) -> SafeString | str:
    """Render a stored body; one that cannot be parsed shows the reason above its raw text."""
    if value is None or value == "":
        return "–"
    if isinstance(value, Unreadable):
        return format_html('<p class="timers-why">{}</p><pre>{}</pre>', value.reason, _cut(str(value)))
    return format_html("<pre>{}</pre>", _cut(value if isinstance(value, str) else text_of(value)))


def _cut(text: str) -> str:
    if len(text) <= SHOWN:
        return text
    return f"{text[:SHOWN]}\n… {len(text) - SHOWN:,} more characters"
