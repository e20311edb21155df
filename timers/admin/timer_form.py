"""The form of a timer: one field for each keyword of timers.scheduling."""

from __future__ import annotations

import json
from typing import Any, Final

from django import forms

from timers.admin.refusals import ControlForm
from timers.domain.policies import OVERRIDABLE
from timers.models import Timer
from timers.schedules.kinds import KINDS, Keyword, all_keywords, keywords_of, kinds_of_keywords

_OPTIONS: Final[tuple[str, ...]] = (
    "group", "name", "description", "tags", "time_zone", "start_at", "end_at", "max_fires", "jitter", "priority",
    "until_committed", "payload", "action", "overrides", "concurrency_key",
)  # fmt: skip


class TimerForm(ControlForm):
    """Create or change a timer, without the fields of its schedule (see timer_form)."""

    also_called = {
        **dict.fromkeys(OVERRIDABLE, "overrides"),
        "handler": "action",
        "kind": "schedule_kind",
        "schedule": "schedule_kind",
        "after": "at",
    }

    schedule_kind = forms.ChoiceField(
        label="Schedule",
        choices=lambda: [(kind, kind.replace("_", " ")) for kind in KINDS],
    )
    jitter = forms.FloatField(
        required=False, help_text="Seconds over which timers of one instant are spread; each keeps its share of it."
    )
    priority = forms.IntegerField(
        required=False, help_text="From -9 to 9: which timers of the group come first when workers are short; empty: 0."
    )
    version = forms.IntegerField(required=False, widget=forms.HiddenInput)

    class Meta:
        model = Timer
        fields = _OPTIONS
        help_texts = {
            "name": "Unique in its group.",
            "tags": "Separated by commas.",
            "time_zone": "Whose wall clock the schedule means, and the times a handler sees: such as Europe/Berlin.",
            "start_at": "No fire before this instant; a fixed rate counts from it.",
            "payload": "Any JSON value, at most 64 KB; it reaches the handler unchanged.",
            "action": 'What a fire does, such as {"handler": "vendors.process"}; empty: what the group says.',
            "overrides": 'Policies of the group that this timer replaces, such as {"retry": {"max_retries": 1}}.',
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        timer: Timer | None = kwargs.get("instance")
        if timer is not None and timer.pk is not None:
            spec = timer.schedule if isinstance(timer.schedule, dict) else {}
            own = {name: _shown(spec[name]) for name in own_fields(timer.schedule_kind) if name in spec}
            stored = {"schedule_kind": timer.schedule_kind, "version": timer.version, **own}
            kwargs["initial"] = {**stored, **(kwargs.get("initial") or {})}
        super().__init__(*args, **kwargs)
        fields = {kind: own_fields(kind) for kind in KINDS}
        self.fields["schedule_kind"].widget.attrs["data-fields"] = json.dumps(fields)

    def keywords(self) -> tuple[str, dict[str, Any]]:
        """Return the kind of a new timer's schedule, and its other keywords (see timers.scheduling)."""
        given = {name: value for name, value in self.cleaned_data.items() if value not in (None, "", [])}
        kind = given["schedule_kind"]
        options = {name: given[name] for name in _OPTIONS if name in given}
        return kind, {**options, "group": given["group"].name, **self._own(kind)}

    def changes(self) -> dict[str, Any]:
        """Return the changed keywords; all keywords of the schedule if any of them changed."""
        changed = super().changes()
        kind = self.cleaned_data["schedule_kind"]
        options = {name: value for name, value in changed.items() if name in _OPTIONS}
        options |= {name: options[name] or 0 for name in ("jitter", "priority") if name in options}
        if "schedule_kind" in changed or set(changed) & set(own_fields(kind)):
            options |= {"kind": kind, **dict.fromkeys(own_fields(kind)), **self._own(kind)}
        return options

    def _own(self, kind: str) -> dict[str, Any]:
        """Return the filled-in fields of the kind, and the required ones, so that their errors can be shown."""
        values: dict[str, Any] = {}
        for keyword in KINDS[kind].keywords:
            text = self.cleaned_data.get(keyword.name)
            if text:
                values[keyword.name] = keyword.from_text(text)
            elif keyword.is_required:
                values[keyword.name] = None
        return values


def schedule_fields() -> tuple[str, ...]:
    """Return the names of the fields of all kinds of schedules."""
    return tuple(keyword.name for keyword in all_keywords() if keyword.is_in_form)


def own_fields(kind: str) -> tuple[str, ...]:
    """Return the names of the fields of one kind, in the order of the form."""
    return tuple(name for name in schedule_fields() if name in keywords_of(kind))


def timer_form() -> type[TimerForm]:
    """Return the form with a field for each keyword of the kinds that there are."""
    fields = {keyword.name: _field(keyword) for keyword in all_keywords() if keyword.is_in_form}
    return type("TimerForm", (TimerForm,), {**fields, "__module__": __name__})


def _field(keyword: Keyword) -> forms.Field:
    if keyword.choices:
        choices = [("", "as suits the schedule"), *keyword.choices]
        return forms.ChoiceField(required=False, label=keyword.label, choices=choices, help_text=keyword.help_text)
    kind = kinds_of_keywords().get(keyword.name)
    help_text = keyword.help_text if kind is None else f"{kind.replace('_', ' ')}: {keyword.help_text}"
    return forms.CharField(required=False, label=keyword.label or None, help_text=help_text)


def _shown(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
