"""The form of a timer: one field for each keyword of timers.scheduling."""

from __future__ import annotations

import json
from typing import Any, Final

from django import forms

from timers.admin.refusals import ControlForm
from timers.control.request import OWN_KEYWORDS
from timers.domain.policies import OVERRIDABLE
from timers.models import Timer
from timers.schedules import KINDS

# In reading order. `after` is for programs: a person who fills in a form gives the instant.
SCHEDULE_FIELDS: Final[tuple[str, ...]] = (
    "at", "period", "delay", "expression", "second", "minute", "hour", "day_of_month", "month", "day_of_week", "year",
    "begin", "end", "every", "weekdays", "rule", "gap", "fold",
)  # fmt: skip
"""All fields of schedules."""
OWN_FIELDS: Final = {kind: tuple(name for name in SCHEDULE_FIELDS if name in OWN_KEYWORDS[kind]) for kind in KINDS}
"""Fields of each kind's schedule."""
_OPTIONS: Final[tuple[str, ...]] = (
    "group", "name", "description", "tags", "time_zone", "start_at", "end_at", "max_fires", "jitter", "priority",
    "until_committed", "payload", "action", "overrides", "concurrency_key",
)  # fmt: skip
_DURATIONS: Final = frozenset({"period", "delay", "every"})


def _text(help_text: str) -> forms.CharField:
    return forms.CharField(required=False, help_text=help_text)


class TimerForm(ControlForm):
    """Create or change a timer; the fields of other kinds of schedules remain empty."""

    also_called = {
        **dict.fromkeys(OVERRIDABLE, "overrides"),
        "handler": "action",
        "kind": "schedule_kind",
        "schedule": "schedule_kind",
        "after": "at",
    }

    schedule_kind = forms.ChoiceField(
        label="Schedule",
        choices=[(kind, kind.replace("_", " ")) for kind in KINDS],
        widget=forms.Select(attrs={"data-fields": json.dumps(OWN_FIELDS)}),
    )
    at = _text("once: the instant, with its offset, such as 2026-11-20T15:00:27+01:00 or ...Z.")
    period = _text("fixed rate: seconds between two fires, or ISO 8601 such as PT1M30S.")
    delay = _text("fixed delay: seconds from the end of a run to the next fire, or ISO 8601.")
    expression = _text(
        "cron: minute hour day month weekday, such as 30 2 * * mon-fri; six fields begin with seconds, seven end with"
        " the year; or an alias such as @daily."
    )
    second = _text("calendar: 0-59; a list, a range, */5; empty: 0.")
    minute = _text("calendar: 0-59; empty: 0.")
    hour = _text("calendar: 0-23; empty: 0.")
    day_of_month = _text(
        "calendar: 1-31, Last, -7 to -1 (days before the last), 1st Sun to 5th Sat, Last Fri; empty: *."
    )
    month = _text("calendar: 1-12 or Jan-Dec; empty: *.")
    day_of_week = _text("calendar: 0-7 or Sun-Sat (0 and 7 are Sunday); empty: *.")
    year = _text("calendar: such as 2027-2030; empty: *.")
    begin = _text("window: when it begins on the wall clock, such as 13:00.")
    end = _text("window: when it ends, such as 15:00; nothing fires at that instant itself.")
    every = _text("window: seconds between two fires from its begin on, or ISO 8601 such as PT30M.")
    weekdays = _text("window: the days on which it begins, such as mon, tue; empty: every day.")
    rule = _text("rrule: a recurrence rule of iCalendar, such as FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=17;BYMINUTE=0.")
    gap = forms.ChoiceField(
        required=False,
        label="When clocks go forward",
        choices=[("", "as suits the schedule"), ("run_after", "run after the gap"), ("skip", "skip")],
        help_text="What becomes of times that are skipped.",
    )
    fold = forms.ChoiceField(
        required=False,
        label="When clocks go back",
        choices=[("", "as suits the schedule"), ("once", "fire once"), ("twice", "fire twice")],
        help_text="What becomes of times that are shown twice.",
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
            own = {name: _shown(spec[name]) for name in OWN_FIELDS.get(timer.schedule_kind, ()) if name in spec}
            stored = {"schedule_kind": timer.schedule_kind, "version": timer.version, **own}
            kwargs["initial"] = {**stored, **(kwargs.get("initial") or {})}
        super().__init__(*args, **kwargs)

    def keywords(self) -> tuple[str, dict[str, Any]]:
        """Return the kind of a new timer's schedule, and the keywords of its function in timers.scheduling."""
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
        if "schedule_kind" in changed or set(changed) & set(OWN_FIELDS[kind]):
            options |= {"kind": kind, **dict.fromkeys(OWN_FIELDS[kind]), **self._own(kind)}
        return options

    def _own(self, kind: str) -> dict[str, Any]:
        """Return the filled-in fields of the kind, and always the first one, so that its error can be shown."""
        names = OWN_FIELDS[kind]
        values = {name: _meant(name, self.cleaned_data[name]) for name in names if self.cleaned_data[name]}
        needed = names[:3] if kind == "window" else names[:1] if kind != "calendar" else ()
        return {**dict.fromkeys(needed), **values}


def _shown(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _meant(name: str, text: str) -> Any:
    """Convert seconds to a number and days to a list; other text is passed to control unchanged."""
    if name == "weekdays":
        return [day.strip() for day in text.split(",") if day.strip()]
    if name in _DURATIONS:
        for number in (int, float):
            try:
                return number(text)
            except ValueError:
                continue
    return text
