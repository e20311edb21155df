"""Routes of executions: list, read, retry, dismiss, cancel, replay."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

from django.http import HttpRequest
from ninja import Query, Router
from pydantic import Field

from timers.api.authentication import caller
from timers.api.execution_answer import ExecutionAnswer, ExecutionInFull, execution_answer, in_full
from timers.api.fields import Body, Instant, Name, Reason, Seconds
from timers.api.paging import Page, PageQuery, cursor_after, position
from timers.api.problems import not_found
from timers.api.route import route
from timers.api.timer_verbs import ExecutionStarted, Overlap
from timers.engine.group_clock import now_in
from timers.exceptions import NotAllowedNow
from timers.executions import cancel_execution, dismiss_failed, replay_execution, retry_failed
from timers.insights.execution_list import WAITING, find
from timers.insights.one_execution import one

router = Router(tags=["executions"])
EXECUTION = "/executions/{execution}"

State = Literal[
    "claimed", "ready", "queued", "blocked", "failed", "history", "succeeded", "cancelled", "skipped", "error",
    "timeout", "lost", "discarded", "snoozed", "advanced",
]  # fmt: skip


class ExecutionQuery(PageQuery):
    """Filters of executions."""

    state: State = Field(
        default="history",
        description="failed: those that wait for a person; history: every try; error and the like: those tries.",
    )
    group: Name | None = None
    timer: Name | None = None
    node: Name | None = None
    since: Instant | None = Field(default=None, description="Scheduled for this instant or later.")
    until: Instant | None = Field(default=None, description="Scheduled before this instant.")
    min_lateness: Annotated[float, Seconds(0, 1e9)] | None = Field(
        default=None, description="Began this long or longer after the instant due, the share of the jitter included."
    )
    error_contains: Annotated[str | None, Field(max_length=200)] = None


class PayloadBody(Body):
    """Optional new payload; without it, the payload is unchanged."""

    payload: Any = None


class ReplayBody(PayloadBody):
    """Optional payload; without it, the timer's payload is used."""

    overlap: Overlap = None


class ReasonBody(Body):
    """Reason of the request."""

    reason: Reason = ""


@route(router, "GET", "/executions", scope="read", answer=Page[ExecutionAnswer])
def list_executions(request: HttpRequest, query: Query[ExecutionQuery]) -> Page[ExecutionAnswer]:
    """List executions in a state, newest occurrence first. A page can be short and still have a next page.

    In history each attempt is an item, the latest of an execution first: `outcome` is how the attempt ended, `state` is
    the present state of the execution. Future occurrences (a fire that was skipped manually) are listed only if
    `timer`, `since` or `until` is given.
    """
    begin = position(request, query)
    asked = query.model_dump(exclude={"cursor"}, exclude_none=True)
    if query.state not in ("claimed", *WAITING) and not {"timer", "since", "until"} & asked.keys():
        # Occurrences skipped ahead of their time would be listed before everything that has happened.
        asked["until"] = now_in(query.group or "") + timedelta(milliseconds=1)
    page = find(groups=caller(request).groups, before_id=None if begin is None else UUID(begin[0]), **asked)
    return Page(
        items=[execution_answer(view) for view in page.executions],
        next=None if page.next is None else cursor_after(request, [str(page.next)]),
    )


@route(router, "GET", EXECUTION, scope="read", answer=ExecutionInFull)
def read_execution(request: HttpRequest, execution: str) -> ExecutionInFull:
    """Read one execution with its payload and all its attempts."""
    return _told(request, execution)


@route(router, "POST", f"{EXECUTION}/retry", scope="operate", answer=ExecutionInFull)
def retry(request: HttpRequest, execution: str, body: PayloadBody = PayloadBody()) -> ExecutionInFull:
    """Retry a failed execution now, with all retries of its policy; optionally with another payload."""
    retry_failed(execution, actor=caller(request).actor, **_given(body))
    return _told(request, execution)


@route(router, "POST", f"{EXECUTION}/dismiss", scope="operate", answer=ExecutionInFull)
def dismiss(request: HttpRequest, execution: str, body: ReasonBody = ReasonBody()) -> ExecutionInFull:
    """Dismiss a failed execution: its final outcome is failed."""
    if not dismiss_failed([execution], reason=body.reason, actor=caller(request).actor):
        raise NotAllowedNow(f"execution {execution} does not wait as failed")
    return _told(request, execution)


@route(router, "POST", f"{EXECUTION}/cancel", scope="operate", answer=ExecutionInFull)
def cancel(request: HttpRequest, execution: str, body: ReasonBody = ReasonBody()) -> ExecutionInFull:
    """Cancel a waiting execution, or request that a claimed one stops. Its timer is not changed."""
    cancel_execution(execution, reason=body.reason, actor=caller(request).actor)
    return _told(request, execution)


@route(router, "POST", f"{EXECUTION}/replay", scope="operate", answer=ExecutionStarted, status=202)
def replay(request: HttpRequest, execution: str, body: ReplayBody = ReplayBody()) -> ExecutionStarted:
    """Run the action of an ended execution's timer again, as a new execution."""
    actor = caller(request).actor
    return ExecutionStarted(execution=replay_execution(execution, overlap=body.overlap, actor=actor, **_given(body)))


def _given(body: PayloadBody) -> dict[str, Any]:
    return {"payload": body.payload} if "payload" in body.model_fields_set else {}


def _told(request: HttpRequest, execution: str) -> ExecutionInFull:
    detail = one(UUID(execution), caller(request).groups)
    if detail is None:
        raise not_found(f"execution {execution}")
    return in_full(detail)
