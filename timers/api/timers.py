"""Routes of timers: schedule, list, read, replace, change, cancel. Further verbs are in timer_verbs."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from urllib.parse import quote

from django.http import HttpRequest
from django.urls import reverse
from ninja import Body, Query, Router
from pydantic import BaseModel, Field

from timers.api.addresses import API_ROOT
from timers.api.authentication import caller
from timers.api.conditions import (
    IF_MATCH,
    ON_PUT,
    check_put,
    check_version,
    etag,
    must_be_new,
    must_be_there,
    wanted_version,
)
from timers.api.fields import Instant, Name, Reason
from timers.api.paging import Page, PageQuery, cursor_after, position
from timers.api.problems import not_found
from timers.api.route import Answer, route
from timers.api.timer_answer import TimerAnswer, answer_now, timer_answer
from timers.api.timer_body import NewTimer, TimerChanges, WholeTimer
from timers.control.find_timer import lock_timer
from timers.control.groups import look_up_groups
from timers.database import transaction
from timers.exceptions import InvalidRequest, TimerNotFound
from timers.insights.held_up import cluster_facts, timer_facts
from timers.insights.last_outcomes import tell_last_outcomes
from timers.insights.limits import limits_reached
from timers.insights.timer_list import Place, list_timers
from timers.models import Timer, TimerGroup
from timers.models.timer_rows import find_timer, timer_of_id
from timers.scheduling import cancel_timer, schedule_timer, update_timer

router = Router(tags=["timers"])
TIMERS = "/groups/{group}/timers"
TIMER = "/groups/{group}/timers/{name}"


class TimerQuery(PageQuery):
    """Filters of timers."""

    name_contains: Annotated[str | None, Field(max_length=200)] = None
    kind: Literal["once", "fixed_rate", "fixed_delay", "cron", "calendar", "window", "rrule"] | None = None
    state: Literal["active", "paused", "finished", "cancelled"] | None = None
    tag: Annotated[str | None, Field(max_length=200)] = None
    payload_type: Literal["string", "number", "object", "array", "boolean", "null"] | None = None
    next_fire_before: Instant | None = None
    next_fire_after: Instant | None = None


class CancelledAnswer(BaseModel):
    """Result of cancelling a timer."""

    timer: TimerAnswer
    in_flight: list[str] = Field(description="Executions that had begun: asked to end, but they may run.")
    cancelled: int = Field(description="Executions that had not begun, or waited for another attempt.")


@route(router, "GET", TIMERS, scope="read", answer=Page[TimerAnswer])
def list_timers_of_group(request: HttpRequest, group: str, query: Query[TimerQuery]) -> Page[TimerAnswer]:
    """List the timers of a group by name."""
    found = look_up_groups([group])
    row = found.groups.get(group)
    if row is None:
        raise not_found(f"group {group!r}")
    filters = query.model_dump(exclude={"limit", "cursor"}, exclude_none=True)
    begin = position(request, query)
    page = list_timers(row.id, after=None if begin is None else Place(*begin), limit=query.limit, filters=filters)
    tell_last_outcomes(page.timers)
    for timer in page.timers:
        timer.group = row
    pauses, known = cluster_facts()
    reached = limits_reached([row])
    return Page(
        items=[timer_answer(timer, found.now, pauses, known, reached) for timer in page.timers],
        next=None if page.next is None else cursor_after(request, page.next),
    )


@route(router, "POST", TIMERS, scope="schedule", answer=TimerAnswer, status=201, also={200: TimerAnswer})
def create_timer(request: HttpRequest, group: str, body: Body[NewTimer]) -> Answer:
    """Schedule a timer.

    201 if it was created; 200 if a timer of that name was replaced or kept, depending on `on_conflict`.
    """
    on_conflict = body.pop("on_conflict", "reject")
    return _written(request, group, body, on_conflict)


@route(router, "GET", TIMER, scope="read", answer=TimerAnswer)
def read_timer(request: HttpRequest, group: str, name: Name) -> Answer:
    """Read one timer, with its executions in flight and its last result."""
    found = find_timer(group, name)
    if found is None:
        raise not_found(f"timer {name!r} in group {group!r}")
    timer, now = found
    tell_last_outcomes([timer])
    facts = timer_facts(timer)
    answer = timer_answer(
        timer, now, facts.pauses, facts.known, facts.reached, in_flight=facts.in_flight, last_result=facts.last_result
    )
    return Answer(answer, headers=etag(timer.version))


@route(
    router, "PUT", TIMER, scope="schedule", answer=TimerAnswer, also={201: TimerAnswer},
    openapi={"parameters": ON_PUT},
)  # fmt: skip
def put_timer(request: HttpRequest, group: str, name: Name, body: Body[WholeTimer]) -> Answer:
    """Create a timer or replace the one of that name. A timer that has ended is not replaced; its name is free."""
    _refuse(body, ("name", "group"), "is said by the address; leave it out")
    is_new = must_be_new(request)
    with transaction.atomic():
        if is_new or must_be_there(request):
            check_put(request, _living_version(group, name))
        return _written(request, group, {**body, "name": name}, "reject" if is_new else "replace")


@route(router, "PATCH", TIMER, scope="schedule", answer=TimerAnswer, openapi={"parameters": [IF_MATCH]})
def patch_timer(request: HttpRequest, group: str, name: Name, body: Body[TimerChanges]) -> Answer:
    """Change the given fields."""
    _refuse(body, ("group", "name", "actor", "version"), "cannot be changed")
    timer = update_timer(group, name, actor=caller(request).actor, version=wanted_version(request), **body)
    return Answer(answer_now(timer, in_flight=list(timer.in_flight)), headers=etag(timer.version))


@route(
    router, "DELETE", TIMER, scope="schedule", answer=CancelledAnswer, openapi={"parameters": [IF_MATCH]}
)  # fmt: skip
def delete_timer(request: HttpRequest, group: str, name: Name, reason: Reason = "") -> CancelledAnswer:
    """Cancel a timer: it never fires again, and waiting retries are cancelled."""
    version = wanted_version(request)
    with transaction.atomic():
        if version is not None:
            check_version(lock_timer(group, name).version, version)
        cancelled = cancel_timer(group, name, reason=reason, actor=caller(request).actor)
    return CancelledAnswer.model_construct(
        timer=answer_now(cancelled.timer, in_flight=cancelled.in_flight),
        in_flight=cancelled.in_flight,
        cancelled=cancelled.cancelled,
    )


def _living_version(group: str, name: str) -> int | None:
    """Lock the timer that a PUT replaces and return its version; None if the PUT creates a timer."""
    if not TimerGroup.objects.filter(name=group).exists():
        raise not_found(f"group {group!r}")
    try:
        timer = lock_timer(group, name)
    except TimerNotFound:
        return None
    return timer.version if timer.state in (Timer.State.ACTIVE, Timer.State.PAUSED) else None


def _refuse(body: dict[str, Any], words: tuple[str, ...], why: str) -> None:
    mistakes = [InvalidRequest(word, why) for word in words if word in body]
    if mistakes:
        raise InvalidRequest.combined(mistakes)


def _written(request: HttpRequest, group: str, body: dict[str, Any], on_conflict: Any) -> Answer:
    if "group" in body and body["group"] != group:
        raise InvalidRequest("group", "is said by the address, and it is another there", given=body["group"])
    try:
        created = schedule_timer({**body, "group": group}, on_conflict=on_conflict, actor=caller(request).actor)
    except InvalidRequest as error:
        # The group comes from the URL: if it does not exist, that is not an error of the body.
        is_group = {problem.field for problem in error.problems} == {"group"}
        raise (not_found(f"group {group!r}") if is_group else error) from None
    timer, now = created.timer, None
    if timer is None:
        found = timer_of_id(created.id)
        if found is None:
            raise not_found(f"timer {created.name!r} any more")
        timer, now = found
    location = f"{reverse(API_ROOT)}groups/{quote(group, safe='')}/timers/{quote(created.name, safe='')}"
    status = 201 if created.result == "created" else 200
    further: dict[str, Any] = {} if created.result == "created" else {"in_flight": list(created.in_flight)}
    answer = timer_answer(timer, now or timer.created_at, **further)
    return Answer(answer, status, {**etag(timer.version), "Location": location})
