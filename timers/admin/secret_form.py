"""The form of a secret. Its value is write-only: it is never rendered, even if the form must be corrected."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import forms

from timers.admin.refusals import ControlForm
from timers.control.secrets import OVERLAP
from timers.domain.policies import MAX_SECONDS
from timers.models import Secret

_HOUR = timedelta(hours=1)
SCOPE = ("description", "groups", "hosts")
"""Fields that can change without a new value."""


class UnshownTextarea(forms.Textarea):
    """A text area that is always rendered empty."""

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        return super().get_context(name, None, attrs)


class OnePerLine(forms.CharField):
    """A list of names, one per line: a name may contain commas and spaces."""

    widget = forms.Textarea(attrs={"rows": 3, "spellcheck": "false"})

    def to_python(self, value: Any) -> Any:
        lines = value if isinstance(value, list) else (super().to_python(value) or "").splitlines()
        return [line.strip() for line in lines if line.strip()]

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list) else value

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(self.to_python(data) != list(initial or ()))


class SecretForm(ControlForm):
    """Editable fields of a secret, and its new value."""

    also_called = {"value": "new_value", "overlap": "hours"}

    groups = OnePerLine(
        required=False,
        help_text="The groups whose timers may use it, one on each line; empty: all.",
    )
    hosts = OnePerLine(
        required=False,
        help_text="The hosts it may be sent to, as api.example.org or *.example.org, one on each line; empty: all.",
    )
    new_value = forms.CharField(
        label="Value",
        required=False,
        strip=False,
        widget=UnshownTextarea(
            attrs={
                "class": "vLargeTextField timers-unshown", "rows": 3, "autocomplete": "off", "autocapitalize": "off",
                "spellcheck": "false",
            }
        ),
    )  # fmt: skip
    make = forms.BooleanField(
        required=False,
        label="Make a signing key",
        help_text="Another one is made, and shown once on the page that follows.",
    )
    hours = forms.FloatField(
        required=False,
        label="Overlap in hours",
        initial=OVERLAP / _HOUR,
        min_value=0,
        max_value=MAX_SECONDS / _HOUR.total_seconds(),
        help_text="So long calls carry a signature by the present key too, and the receiver can change over.",
    )

    class Meta:
        model = Secret
        fields = ("name", "kind", "description", "groups", "hosts")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        exists = bool(self.instance.pk)
        is_signing = self.instance.kind == Secret.Kind.SIGNING
        if "new_value" in self.fields:
            self.fields["new_value"].help_text = _help(exists=exists)
        if not (exists and is_signing):
            for name in ("make", "hours"):
                self.fields.pop(name, None)

    def clean_new_value(self) -> str:
        value: str = self.cleaned_data["new_value"]
        return value.replace("\r\n", "\n")  # browsers send every line break this way

    def clean(self) -> dict[str, Any]:
        if self.cleaned_data.get("make") and self.cleaned_data.get("new_value"):
            self.add_error("make", "Either have a key made, or give its value.")
        return self.cleaned_data

    def _post_clean(self) -> None:
        super()._post_clean()
        if self.errors and "new_value" not in self.errors and self.data.get(self.add_prefix("new_value")):
            self.add_error("new_value", "Give the value once more: what was typed is not shown again.")

    @property
    def replaces(self) -> bool:
        """Whether the secret gets a new value."""
        return bool(self.cleaned_data.get("new_value") or self.cleaned_data.get("make"))

    @property
    def value(self) -> str | None:
        """The given value, if there is one."""
        return self.cleaned_data.get("new_value") or None

    @property
    def overlap(self) -> timedelta:
        """How long the previous signing key also signs."""
        hours = self.cleaned_data.get("hours")
        return OVERLAP if hours is None else hours * _HOUR

    def scope(self) -> dict[str, Any]:
        """Return the changed fields except the value."""
        return {name: value for name, value in self.changes().items() if name in SCOPE}


def _help(*, exists: bool) -> str:
    if exists:
        return "Another value, which workers send within seconds; empty: it stays. It is kept encrypted and not shown."
    return (
        "Kept encrypted and never shown again, and taken as it is, without spaces or line breaks around it. May be left"
        " empty for a signing key: then one is made, and shown once on the page that follows."
    )
