"""Routes of exclusion calendars: create, list, read, change, delete."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final

from django.http import HttpRequest
from ninja import Body as InBody
from ninja import Query, Router
from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from timers.api.authentication import caller
from timers.api.conditions import IF_MATCH, check_version, etag, wanted_version
from timers.api.fields import Name
from timers.api.paging import Page, PageQuery, cursor_after, position
from timers.api.route import Answer, route
from timers.api.schemas import NAME, refuse_unknown
from timers.database import transaction
from timers.domain.json_schema import TEXT, Schema, keywords
from timers.exceptions import TimerNotFound
from timers.models import ExclusionCalendar
from timers.scheduling import create_calendar, delete_calendar, update_calendar

router = Router(tags=["calendars"])
CALENDAR = "/calendars/{calendar}"

_FIELDS: Final[dict[str, Schema]] = {
    "rules": {"type": "array", "items": {"type": "object"}, "description": "Which days and times are excluded."},
    "description": TEXT,
    "time_zone": {"type": "string", "description": "Whose wall clock says what day it is; empty: the timer's."},
}
NewCalendar = Annotated[dict[str, Any], WithJsonSchema(keywords({"name": NAME, **_FIELDS}, ["name", "rules"]))]
CalendarChanges = Annotated[dict[str, Any], WithJsonSchema(keywords(_FIELDS, []))]


class CalendarAnswer(BaseModel):
    """An exclusion calendar: days and times at which no timer fires."""

    model_config = ConfigDict(from_attributes=True)

    name: str
    description: str
    time_zone: str
    rules: Any
    version: int
    created_at: datetime
    updated_at: datetime
    updated_by: str
    in_flight: list[str] = Field(
        default=[], description="Of a pause or change: claimed executions that it came too late for."
    )


@route(router, "GET", "/calendars", scope="read", answer=Page[CalendarAnswer])
def list_calendars(request: HttpRequest, query: Query[PageQuery]) -> Page[CalendarAnswer]:
    """List the exclusion calendars by name. They are shared by all groups."""
    begin = position(request, query)
    rows = ExclusionCalendar.objects.order_by("name")
    if begin is not None:
        rows = rows.filter(name__gt=begin[0])
    found = list(rows[: query.limit + 1])
    page = found[: query.limit]
    return Page(
        items=[CalendarAnswer.model_validate(row) for row in page],
        next=cursor_after(request, [page[-1].name]) if len(found) > len(page) else None,
    )


@route(router, "POST", "/calendars", scope="admin", answer=CalendarAnswer, status=201, all_groups=True)
def post_calendar(request: HttpRequest, body: InBody[NewCalendar]) -> Answer:
    """Create an exclusion calendar."""
    refuse_unknown(body, {"name", *_FIELDS})
    name, rules = body.pop("name", None), body.pop("rules", None)
    return _told(create_calendar(name, rules=rules, actor=caller(request).actor, **body))


@route(router, "GET", CALENDAR, scope="read", answer=CalendarAnswer)
def read_calendar(request: HttpRequest, calendar: Name) -> Answer:
    """Read one exclusion calendar."""
    row = ExclusionCalendar.objects.filter(name=calendar).first()
    if row is None:
        raise TimerNotFound(f"there is no exclusion calendar {calendar!r}")
    return _told(row)


@route(
    router, "PATCH", CALENDAR, scope="admin", answer=CalendarAnswer, all_groups=True,
    openapi={"parameters": [IF_MATCH]},
)  # fmt: skip
def patch_calendar(request: HttpRequest, calendar: Name, body: InBody[CalendarChanges]) -> Answer:
    """Change the given fields. The next fires of the timers that use the calendar are recomputed."""
    refuse_unknown(body, set(_FIELDS))
    return _told(update_calendar(calendar, version=wanted_version(request), actor=caller(request).actor, **body))


@route(
    router, "DELETE", CALENDAR, scope="admin", answer=None, all_groups=True, openapi={"parameters": [IF_MATCH]}
)  # fmt: skip
def remove_calendar(request: HttpRequest, calendar: Name) -> None:
    """Delete an exclusion calendar. Refused while a group or a timer refers to it."""
    with transaction.atomic():
        row = ExclusionCalendar.objects.select_for_update().filter(name=calendar).first()
        check_version(0 if row is None else row.version, wanted_version(request))
        delete_calendar(calendar, actor=caller(request).actor)


def _told(row: ExclusionCalendar) -> Answer:
    return Answer(CalendarAnswer.model_validate(row), headers=etag(row.version))
