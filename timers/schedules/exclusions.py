"""Exclusion calendars: days and windows at which nothing fires.

A calendar is a list of rules, each an object of one of these forms, with an optional `label` that is shown as the
reason:

    {"weekdays": ["sat", "sun"]}
    {"dates": ["2026-12-31", "2027-01-04"]}
    {"yearly": ["12-24", "12-31"]}                          month and day, of every year
    {"from": "2026-07-20", "to": "2026-08-02"}              both days included
    {"holidays": "DE", "subdivision": "BY"}                 public holidays; "categories" for others than these
    {"cron": "0 22 * * 6", "duration": "PT4H"}              from each instant of a cron expression on

Days, and the expressions of windows, refer to the wall clock of the calendar's own time zone, or of the timer's if it
has none. A window lasts elapsed time: 4 hours are 4 hours even in a night with a clock change.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final, Self
from zoneinfo import ZoneInfo

from timers.exceptions import InvalidRequest
from timers.schedules.excluded_days import DayRule, ExcludedDates, ExcludedRange, ExcludedWeekdays, ExcludedYearly
from timers.schedules.excluded_window import MOST_WINDOWS_A_DAY, ExcludedWindow
from timers.schedules.instant import in_utc
from timers.schedules.public_holidays import PublicHolidays
from timers.schedules.stretches import Stretch, merged, within
from timers.schedules.wall_instants import steady_times
from timers.schedules.zones import zone as zone_of

MOST_RULES: Final = 100
LONGEST_LABEL: Final = 200
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of a calendar, and its label."""

    excludes: DayRule | ExcludedWindow
    label: str = ""

    def to_spec(self) -> dict[str, Any]:
        return {**self.excludes.to_spec(), "label": self.label} if self.label else self.excludes.to_spec()


@dataclass(frozen=True, slots=True)
class ExclusionCalendar:
    """A named list of rules, all of which apply."""

    name: str
    rules: tuple[Rule, ...]
    zone: ZoneInfo | None = None
    """Zone whose wall clock defines the days; None: the timer's zone."""

    def __hash__(self) -> int:
        return hash((self.name, self.zone))  # cheap: calendars are dict keys in the computation of instants

    @classmethod
    def parse(cls, name: str, rules: Any, time_zone: str | None = None) -> Self:
        """Parse JSON rules. Raises one InvalidRequest that names every invalid field, such as `rules.0.weekdays`."""
        if not isinstance(rules, (list, tuple)):
            raise InvalidRequest(
                "rules", 'must be a list of rules, such as [{"weekdays": ["sat", "sun"]}]', given=rules
            )
        if len(rules) > MOST_RULES:
            raise InvalidRequest("rules", f"has {len(rules):,} rules: at most {MOST_RULES} are allowed")
        problems: list[InvalidRequest] = []
        read: list[Rule] = []
        for number, rule in enumerate(rules):
            try:
                read.append(_read(rule, f"rules.{number}"))
            except InvalidRequest as error:
                problems.append(error)
        if not problems and _weekdays(read) == frozenset(range(7)):
            problems.append(InvalidRequest("rules", "exclude all seven days of the week: nothing would ever fire"))
        windows = sum(rule.excludes.a_day for rule in read if isinstance(rule.excludes, ExcludedWindow))
        if windows > 2 * MOST_WINDOWS_A_DAY:
            # The target of each moved instant is searched among all of them, a month around.
            words = f"begin up to {windows:,} windows a day together: at most {2 * MOST_WINDOWS_A_DAY} are allowed"
            problems.append(InvalidRequest("rules", words))
        own_zone: ZoneInfo | None = None
        try:
            own_zone = zone_of(time_zone) if time_zone else None
        except InvalidRequest as error:
            problems.append(error)
        if problems:
            raise InvalidRequest.combined(problems)
        return cls(name, tuple(read), own_zone)

    def reason(self, instant: datetime, zone: ZoneInfo) -> str | None:
        """Return why an instant is excluded, for a timer of this zone: "Christmas Day (holidays DE)".

        None: it is not.
        """
        zone = self.zone or zone
        instant = in_utc(instant)
        day = instant.astimezone(zone).date()
        for rule in self.rules:
            if isinstance(rule.excludes, ExcludedWindow):
                reason = rule.excludes.reason(instant, zone)
            else:
                reason = rule.excludes.reason(day)
            if reason is not None:
                return rule.label or reason
        return None

    def excluded_days(self, begin: datetime, end: datetime, zone: ZoneInfo) -> list[Stretch]:
        """Return what the rules of whole days exclude from `begin` to before `end` (UTC)."""
        rules = [rule.excludes for rule in self.rules if not isinstance(rule.excludes, ExcludedWindow)]
        if not rules:
            return []
        found: list[Stretch] = []
        for steady in steady_times(self.zone or zone, begin, end):
            wall, last = (
                steady.begin.replace(tzinfo=None) + steady.offset,
                steady.end.replace(tzinfo=None) + steady.offset,
            )
            day = datetime(wall.year, wall.month, wall.day)
            while day < last:
                if _is_excluded(day.date(), rules):
                    starts = steady.begin + (day - wall)
                    found.append(Stretch(max(starts, steady.begin), min(starts + _DAY, steady.end)))
                day += _DAY
        return merged(found)

    def excluded_windows(self, begin: datetime, end: datetime, zone: ZoneInfo) -> list[Stretch]:
        """Return what the windows exclude from `begin` to before `end` (UTC)."""
        zone = self.zone or zone
        windows = [rule.excludes for rule in self.rules if isinstance(rule.excludes, ExcludedWindow)]
        found = [stretch for window in windows for stretch in window.stretches(begin, end, zone)]
        return within(merged(found), begin, end)

    def stretches(self, begin: datetime, end: datetime, zone: ZoneInfo) -> list[Stretch]:
        """Return what is excluded from `begin` to before `end` (UTC)."""
        return merged([*self.excluded_days(begin, end, zone), *self.excluded_windows(begin, end, zone)])

    def to_spec(self) -> list[dict[str, Any]]:
        """Return the JSON rules, from which an equal calendar is parsed."""
        return [rule.to_spec() for rule in self.rules]


_FORMS: Final[Mapping[str, tuple[Any, frozenset[str], frozenset[str]]]] = {
    "weekdays": (ExcludedWeekdays, frozenset({"weekdays"}), frozenset()),
    "dates": (ExcludedDates, frozenset({"dates"}), frozenset()),
    "yearly": (ExcludedYearly, frozenset({"yearly"}), frozenset()),
    "from": (ExcludedRange, frozenset({"from", "to"}), frozenset()),
    "holidays": (PublicHolidays, frozenset({"holidays"}), frozenset({"subdivision", "categories"})),
    "cron": (ExcludedWindow, frozenset({"cron", "duration"}), frozenset()),
}
"""By the field that identifies a form: its class, its required fields, and its optional fields."""


def _read(rule: Any, field: str) -> Rule:
    if not isinstance(rule, Mapping):
        raise InvalidRequest(field, 'must be an object, such as {"weekdays": ["sat", "sun"]}', given=rule)
    forms = [name for name, (_, needed, _) in _FORMS.items() if needed & rule.keys()]
    if len(forms) != 1:
        raise InvalidRequest(field, _which_form(rule, forms), given=dict(rule))
    form, needed, optional = _FORMS[forms[0]]
    problems = [InvalidRequest(f"{field}.{name}", "is missing") for name in sorted(needed - rule.keys())]
    for name in list(rule.keys() - needed - optional - {"label"})[:20]:
        allowed = ", ".join(sorted(needed | optional | {"label"}))
        problems.append(InvalidRequest(f"{field}.{str(name)[:64]}", f"has no place in this rule; allowed: {allowed}"))
    label = rule.get("label", "")
    if not isinstance(label, str) or len(label) > LONGEST_LABEL:
        problems.append(
            InvalidRequest(f"{field}.label", f"must be text of at most {LONGEST_LABEL} characters", given=label)
        )
    if problems:
        raise InvalidRequest.combined(problems)
    return Rule(form.parse(rule, field), label.strip())


def _which_form(rule: Mapping[Any, Any], forms: list[str]) -> str:
    if forms:
        return f"says both {' and '.join(forms)}: write a rule of its own for each"
    for name in list(rule)[:20]:
        near = difflib.get_close_matches(str(name)[:64].lower(), _FORMS, n=1, cutoff=0.6)
        if near:
            return f"is no rule that is known, did you mean {near[0]}?"
    return "is no rule that is known; it needs weekdays, dates, yearly, from and to, holidays, or cron and duration"


def _weekdays(rules: list[Rule]) -> frozenset[int]:
    return frozenset[int]().union(
        *(rule.excludes.weekdays for rule in rules if isinstance(rule.excludes, ExcludedWeekdays))
    )


def _is_excluded(day: date, rules: list[DayRule]) -> bool:
    return any(rule.reason(day) is not None for rule in rules)
