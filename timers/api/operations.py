"""Routes of failures, grouped by fault, and of bulk operations on failed executions, which run in the background."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final, Literal

from django.http import HttpRequest
from ninja import Body as InBody
from ninja import Query, Router
from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from timers.api.authentication import caller
from timers.api.executions import ReasonBody
from timers.api.fields import Body, EmptyBody, Name, Number
from timers.api.paging import Page, PageQuery, cursor_after, position
from timers.api.problems import not_found
from timers.api.route import route
from timers.api.schemas import NAME, refuse_unknown
from timers.domain.json_schema import INSTANT, TEXT, Schema, keywords, maybe
from timers.executions import (
    cancel_operation,
    failures,
    pause_operation,
    resume_operation,
    set_pace,
    start_operation,
)
from timers.insights import operations as insights
from timers.models import BulkOperation

router = Router(tags=["failures"])
OPERATION = "/operations/{operation}"

_FILTER: Final[Schema] = {
    **keywords(
        {
            "all": {"const": True},
            "group": NAME,
            "timer": NAME,
            "fingerprint": TEXT,
            "error_contains": TEXT,
            "failed_before": INSTANT,
            "failed_after": INSTANT,
        },
        [],
    ),
    "description": 'Conditions that all hold; {"all": true} for every failed execution.',
}
_ASKED: Final[dict[str, Schema]] = {
    "filter": _FILTER,
    "pace": maybe({"type": "number", "description": "At most so many executions a second."}),
    "reason": TEXT,
}
NewOperation = Annotated[
    dict[str, Any],
    WithJsonSchema(keywords({"verb": {"enum": ["retry", "dismiss"]}, **_ASKED}, ["verb", "filter"])),
]
ManyExecutions = Annotated[dict[str, Any], WithJsonSchema(keywords(_ASKED, ["filter"]))]


class FailureAnswer(BaseModel):
    """One fault and the executions that failed because of it."""

    model_config = ConfigDict(from_attributes=True)

    fingerprint: str
    title: str
    count: int
    at_least: bool = Field(description="There are more than were counted.")
    groups: list[str]
    oldest: datetime
    newest: datetime
    example: str = Field(description="The newest execution.")


class FailuresAnswer(BaseModel):
    """The faults, ordered by their number of executions, largest first."""

    items: list[FailureAnswer]
    more: bool = Field(description="There are more faults than are told.")


class OperationAnswer(BaseModel):
    """A bulk operation on failed executions, and its progress."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    verb: Literal["retry", "dismiss"]
    filter: Any
    reason: str
    pace: float | None
    state: Literal["running", "paused", "done", "cancelled"]
    state_reason: str
    total: int
    done: int
    refused: int = Field(description="Executions that cannot be retried.")
    refusals: Any = Field(description="The first few of these, each with its reason.")
    created_at: datetime
    created_by: str
    ended_at: datetime | None


class PaceBody(Body):
    """New pace of an operation; null: no limit."""

    pace: Annotated[Number, Field(gt=0)] | None


class OperationQuery(PageQuery):
    """Filters of operations."""

    state: Literal["running", "paused", "done", "cancelled"] | None = None


class FailureQuery(BaseModel):
    """Filter of failures."""

    model_config = ConfigDict(extra="forbid")

    group: Name | None = None


@route(router, "GET", "/failures", scope="read", answer=FailuresAnswer)
def list_failures(request: HttpRequest, query: Query[FailureQuery]) -> FailuresAnswer:
    """List the faults of failed executions that wait for a person."""
    seen = caller(request).groups
    if query.group is not None:
        seen = frozenset({query.group}) if caller(request).sees(query.group) else frozenset()
    found = failures(seen)
    return FailuresAnswer(
        items=[
            FailureAnswer(
                fingerprint=each.fingerprint, title=each.title, count=each.count.value, at_least=each.count.capped,
                groups=list(each.groups), oldest=each.oldest, newest=each.newest, example=str(each.example),
            )
            for each in found.failures
        ],
        more=found.more,
    )  # fmt: skip


@route(router, "POST", "/operations", scope="operate", answer=OperationAnswer, status=202)
def start(request: HttpRequest, body: InBody[NewOperation]) -> OperationAnswer:
    """Retry or dismiss all failed executions that match a filter now, in the background."""
    return _started(request, body.pop("verb", None), body)


@route(router, "POST", "/executions/retry", scope="operate", answer=OperationAnswer, status=202)
def retry_many(request: HttpRequest, body: InBody[ManyExecutions]) -> OperationAnswer:
    """Retry all failed executions that match a filter now, in the background."""
    return _started(request, "retry", body)


@route(router, "POST", "/executions/dismiss", scope="operate", answer=OperationAnswer, status=202)
def dismiss_many(request: HttpRequest, body: InBody[ManyExecutions]) -> OperationAnswer:
    """Dismiss all failed executions that match a filter now, in the background."""
    return _started(request, "dismiss", body)


@route(router, "GET", "/operations", scope="read", answer=Page[OperationAnswer])
def list_operations(request: HttpRequest, query: Query[OperationQuery]) -> Page[OperationAnswer]:
    """List bulk operations, newest first."""
    begin = position(request, query)
    page = insights.find(
        groups=caller(request).groups,
        state=query.state,
        before_id=None if begin is None else begin[0],
        limit=query.limit,
    )
    return Page(
        items=[OperationAnswer.model_validate(row) for row in page.operations],
        next=None if page.next is None else cursor_after(request, [page.next]),
    )


@route(router, "GET", OPERATION, scope="read", answer=OperationAnswer)
def read_operation(request: HttpRequest, operation: str) -> OperationAnswer:
    """Read one bulk operation and its progress."""
    row = insights.one(int(operation), caller(request).groups)
    if row is None:
        raise not_found(f"operation {operation}")
    return OperationAnswer.model_validate(row)


@route(router, "PATCH", OPERATION, scope="operate", answer=OperationAnswer)
def change_pace(request: HttpRequest, operation: str, body: PaceBody) -> OperationAnswer:
    """Change the pace of a bulk operation."""
    return _told(set_pace(int(operation), body.pace, groups=caller(request).groups))


@route(router, "POST", f"{OPERATION}/cancel", scope="operate", answer=OperationAnswer)
def cancel(request: HttpRequest, operation: str, body: ReasonBody = ReasonBody()) -> OperationAnswer:
    """Cancel a bulk operation. What it has done already is kept."""
    who = caller(request)
    return _told(cancel_operation(int(operation), reason=body.reason, actor=who.actor, groups=who.groups))


@route(router, "POST", f"{OPERATION}/pause", scope="operate", answer=OperationAnswer)
def pause(request: HttpRequest, operation: str, body: ReasonBody = ReasonBody()) -> OperationAnswer:
    """Pause a bulk operation until it is resumed."""
    who = caller(request)
    return _told(pause_operation(int(operation), reason=body.reason, actor=who.actor, groups=who.groups))


@route(router, "POST", f"{OPERATION}/resume", scope="operate", answer=OperationAnswer)
def resume(request: HttpRequest, operation: str, body: EmptyBody = EmptyBody()) -> OperationAnswer:
    """Resume a bulk operation."""
    who = caller(request)
    return _told(resume_operation(int(operation), actor=who.actor, groups=who.groups))


def _started(request: HttpRequest, verb: Any, body: dict[str, Any]) -> OperationAnswer:
    refuse_unknown(body, _ASKED)
    who = caller(request)
    conditions = body.pop("filter", None)
    return _told(start_operation(verb, conditions, actor=who.actor, groups=who.groups, **body))


def _told(row: BulkOperation) -> OperationAnswer:
    return OperationAnswer.model_validate(row)
