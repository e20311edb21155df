"""Exclusion calendars: edit their rules, and see what they exclude next."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from timers import clock
from timers.admin.actions import for_each
from timers.admin.json_text import JSONTextField
from timers.admin.refusals import ControlAdmin, ControlForm, take_over
from timers.control.calendars import create_calendar, delete_calendar, update_calendar
from timers.exceptions import InvalidRequest
from timers.models import ExclusionCalendar
from timers.models.fields import ExactJSONField
from timers.schedules.exclusions import ExclusionCalendar as Rules
from timers.schedules.zones import zone

SHOWN_AHEAD = timedelta(days=400)
SHOWN = 12
RULES_HELP = (
    'A list of rules: {"weekdays": ["sat", "sun"]}, {"dates": ["2026-12-31"]}, {"yearly": ["12-24"]},'
    ' {"from": "2026-07-20", "to": "2026-08-02"}, {"holidays": "DE", "subdivision": "BY"},'
    ' {"cron": "0 22 * * 6", "duration": "PT4H"}; each may have a "label".'
)


class CalendarForm(ControlForm):
    """Editable fields of a calendar."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "rules" in self.fields:
            self.fields["rules"].required = False  # an empty list of rules is valid
            self.fields["rules"].help_text = RULES_HELP

    class Meta:
        model = ExclusionCalendar
        fields = ("name", "description", "time_zone", "rules")


@admin.register(ExclusionCalendar)
class CalendarAdmin(ControlAdmin):
    """Calendars by name."""

    form = CalendarForm
    formfield_overrides = {ExactJSONField: {"form_class": JSONTextField}}
    ordering = ("name",)
    list_display = ("name", "description", "time_zone", "updated_at", "updated_by")
    search_fields = ("^name",)
    search_help_text = "The beginning of a calendar's name."
    actions = ("remove",)
    fields = ("name", "description", "time_zone", "rules", "next_excluded", "updated_at", "updated_by")

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> tuple[str, ...]:
        facts = ("next_excluded", "updated_at", "updated_by")
        return facts if obj is None else ("name", *facts)

    def save_model(self, request: HttpRequest, obj: ExclusionCalendar, form: Any, change: bool) -> None:
        actor = request.user.get_username()
        if change:
            take_over(obj, update_calendar(obj.name, actor=actor, **_with_rules(form.changes())))
            return
        take_over(obj, create_calendar(actor=actor, **_with_rules(dict(form.cleaned_data))))

    @admin.action(description="Delete, unless groups or timers refer to it", permissions=["change"])
    def remove(self, request: HttpRequest, rows: QuerySet[ExclusionCalendar]) -> None:
        for_each(self, request, rows, lambda calendar: delete_calendar(calendar.name), "deleted")

    @admin.display(description="excludes next")
    def next_excluded(self, calendar: ExclusionCalendar) -> SafeString | str:
        if not calendar.pk:
            return "–"
        try:
            rules = Rules.parse(calendar.name, calendar.rules, calendar.time_zone)
        except InvalidRequest as error:
            return format_html('<p class="timers-why">{}</p>', str(error))
        return _told(rules)


def _with_rules(fields: dict[str, Any]) -> dict[str, Any]:
    return {**fields, "rules": fields["rules"] or []} if "rules" in fields else fields


def _told(rules: Rules) -> SafeString | str:
    own = rules.zone or zone("UTC")
    now = clock.now()
    found = rules.stretches(now, now + SHOWN_AHEAD, own)[:SHOWN]
    if not found:
        return "nothing within 400 days"
    lines = (
        (
            f"{begin.astimezone(own):%a %Y-%m-%d %H:%M}",
            f"{end.astimezone(own):%a %Y-%m-%d %H:%M}",
            rules.reason(begin, own),
        )
        for begin, end in found
    )
    head = format_html(
        "<p>{}</p>", f"read in {own.key}" if rules.zone else "read in UTC; timers read it in their zones"
    )
    return head + format_html("<ul>{}</ul>", format_html_join("", "<li>{} to {}: {}</li>", lines))
