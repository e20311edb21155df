"""The form of a timer: the keywords of timers.scheduling, one field each."""

from __future__ import annotations

from typing import Any, Final

from django import forms

from timers.admin.refusals import ControlForm
from timers.models import Timer
from timers.policies import OVERRIDABLE
from timers.schedules import KINDS

OWN_FIELDS: Final = {"once": "at", "fixed_rate": "period", "fixed_delay": "delay", "cron": "expression"}
"""The field that carries the schedule of each kind."""


class TimerForm(ControlForm):
    """Create a timer, or change one; the fields of the other kinds of schedule are left empty."""

    also_called = {
        **dict.fromkeys(OVERRIDABLE, "overrides"),
        "handler": "action",
        "kind": "schedule_kind",
        "schedule": "schedule_kind",
        "after": "at",
    }

    schedule_kind = forms.ChoiceField(label="Schedule", choices=[(kind, kind.replace("_", " ")) for kind in KINDS])
    at = forms.CharField(
        required=False, help_text="once: the instant, with its offset, such as 2026-11-20T15:00:27+01:00 or ...Z."
    )
    period = forms.CharField(
        required=False, help_text="fixed rate: seconds between two fires, or ISO 8601 such as PT1M30S."
    )
    delay = forms.CharField(
        required=False, help_text="fixed delay: seconds from the end of a run to the next fire, or ISO 8601."
    )
    expression = forms.CharField(
        required=False,
        help_text="cron: minute hour day month weekday, such as 30 2 * * mon-fri; six fields begin with seconds.",
    )
    version = forms.IntegerField(required=False, widget=forms.HiddenInput)

    class Meta:
        model = Timer
        fields = (
            "group", "name", "description", "tags", "time_zone", "start_at", "end_at", "max_fires", "until_committed",
            "payload", "action", "overrides",
        )  # fmt: skip
        help_texts = {
            "name": "Unique in its group.",
            "tags": "Separated by commas.",
            "time_zone": "Of cron expressions, and of the times a handler sees: an IANA name such as Europe/Berlin.",
            "start_at": "No fire before this instant; a fixed rate counts from it.",
            "payload": "Any JSON value, at most 64 KB; it reaches the handler unchanged.",
            "action": 'What a fire does, such as {"handler": "vendors.process"}; empty: what the group says.',
            "overrides": 'Policies of the group that this timer replaces, such as {"retry": {"max_retries": 1}}.',
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        timer: Timer | None = kwargs.get("instance")
        if timer is not None and timer.pk is not None:
            spec = timer.schedule if isinstance(timer.schedule, dict) else {}
            own = OWN_FIELDS.get(timer.schedule_kind, "")
            stored = {"schedule_kind": timer.schedule_kind, "version": timer.version, own: str(spec.get(own, ""))}
            kwargs["initial"] = {**stored, **(kwargs.get("initial") or {})}
        super().__init__(*args, **kwargs)

    def clean_period(self) -> Any:
        return _number_if_it_is(self.cleaned_data["period"])

    def clean_delay(self) -> Any:
        return _number_if_it_is(self.cleaned_data["delay"])

    def keywords(self) -> tuple[str, dict[str, Any]]:
        """The kind of a new timer's schedule, and the keywords of that kind's function in timers.scheduling."""
        given = {name: value for name, value in self.cleaned_data.items() if value not in (None, "", [])}
        given.pop("version", None)
        kind = given.pop("schedule_kind")
        given["group"] = given["group"].name
        own = {name: given.pop(name, None) for name in OWN_FIELDS.values()}
        return kind, {**given, OWN_FIELDS[kind]: own[OWN_FIELDS[kind]]}

    def changes(self) -> dict[str, Any]:
        """The keywords that were changed; the schedule as a whole when anything of it was."""
        changed = super().changes()
        changed.pop("version", None)
        own = {name: changed.pop(name) for name in OWN_FIELDS.values() if name in changed}
        kind = self.cleaned_data["schedule_kind"]
        if changed.pop("schedule_kind", None) or own:
            field = OWN_FIELDS[kind]
            changed |= {"kind": kind, field: self.cleaned_data[field] or None}
        return changed


def _number_if_it_is(text: str) -> Any:
    """Seconds as a number; anything else stays text, for ISO 8601 or for the refusal."""
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return text
