"""Routes for consumers: claim executions of a group, commit them, discard them, extend their lease."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import cache
from threading import BoundedSemaphore
from typing import Annotated, Any, Final

from django.http import HttpRequest, HttpResponse
from ninja import Router
from pydantic import BaseModel, Field

from timers import conf
from timers.api.authentication import caller
from timers.api.executions import EXECUTION
from timers.api.fields import Body, Name, Reason, Seconds, Whole
from timers.api.groups import GROUP
from timers.api.idempotent import IDEMPOTENCY_KEY, once
from timers.api.problems import FieldProblemAnswer, not_found
from timers.api.route import rendered, route
from timers.api.visible import is_visible
from timers.consuming import Commit, Message, Settled, claim, commit, commit_many, discard, extend
from timers.domain.policies import MAX_SECONDS
from timers.engine.next_due import seconds_to_next
from timers.exceptions import FieldProblem, InvalidRequest, TimersError

router = Router(tags=["consumers"])
LONGEST_WAIT: Final = 20.0
_LOOKS_EVERY: Final = 0.25
"""Maximum seconds between two checks of a waiting claim: a timer scheduled in the meantime may be due at once."""
_SHORTEST_SLEEP: Final = 0.005

Lease = Annotated[float, Seconds(1, 43_200, "Until it is shown again.")]
Token = Annotated[str, Field(min_length=1, max_length=200, description="As it was given with the claim.")]


class ClaimBody(Body):
    """Who claims, and how many executions."""

    consumer: Name = Field(description="The name of the program, as people see it.")
    limit: Annotated[Whole, Field(ge=1, le=1000)] = 1
    lease: Lease = 30
    wait: Annotated[float, Seconds(0, LONGEST_WAIT, "To wait for the first.")] = 0
    subscription: Name | None = Field(default=None, description="Only what is for this subscription of the group.")


class CommitBody(Body):
    """Body that commits an execution."""

    token: Token
    result: Any = Field(default=None, description="Kept with the execution; at most 8 KB of JSON.")


class DiscardBody(Body):
    """Body that discards an execution."""

    token: Token
    delay: (
        Annotated[float, Seconds(0, MAX_SECONDS, "Left out: as the retry policy, or the next tick, says.")] | None
    ) = None
    reason: Reason = ""


class ExtendBody(Body):
    """Body that extends the lease of a claim."""

    token: Token
    lease: Lease = 30


class CommitOne(CommitBody):
    """One item of a bulk commit."""

    execution: Annotated[str, Field(max_length=36)]


class CommitMany(Body):
    """Body that commits up to 1,000 executions."""

    items: Annotated[list[CommitOne], Field(max_length=1000)]


class MessageAnswer(BaseModel):
    """One claimed execution."""

    execution: str
    token: str
    expires_at: datetime
    envelope: dict[str, Any]


class ClaimAnswer(BaseModel):
    """The claimed executions; empty if none was due."""

    messages: list[MessageAnswer]


class SettledAnswer(BaseModel):
    """State of an execution after a commit or discard."""

    execution: str
    outcome: str = Field(description="succeeded, discarded; or cancelled, where it had been asked to end.")


class ExtendedAnswer(BaseModel):
    """The new end of the claim's lease."""

    execution: str
    expires_at: datetime
    cancelled: list[str] = Field(description="Executions of this claim that have been asked to end: discard them.")


class SettledOne(BaseModel):
    """Result of one item of a bulk commit, or the reason of its failure."""

    execution: str
    outcome: str | None = None
    errors: list[FieldProblemAnswer] = []


class SettledMany(BaseModel):
    """One result for each item, in the order of the items."""

    results: list[SettledOne]


@route(
    router, "POST", f"{GROUP}/claims", scope="consume", answer=ClaimAnswer, repeatable=False,
    openapi={"parameters": [IDEMPOTENCY_KEY]},
)  # fmt: skip
def claim_some(request: HttpRequest, group: str, body: ClaimBody) -> HttpResponse:
    """Claim due executions of a group whose action is pull. The consumer owns them until the lease ends.

    With `wait`, the response is sent when an execution is due, or empty when the time is over. The number of requests
    that wait at once in a web process is limited (TIMERS_API_WAITING). A request beyond the limit is answered at once,
    with Retry-After if nothing was due.
    """

    def look() -> HttpResponse | None:
        # A check that finds no message may have skipped or rescheduled due timers: that is committed in any case.
        messages = claim(group, body.consumer, limit=body.limit, lease=body.lease, subscription=body.subscription)
        return _told(messages) if messages else None

    def attempt() -> HttpResponse | None:
        return once(request, caller(request), look)

    found = attempt()
    if found is not None or not body.wait:
        return found or _told([])
    places = _waiting_places()
    if not places.acquire(blocking=False):
        response = _told([])
        response.headers["Retry-After"] = "1"
        return response
    try:
        return _waited(attempt, group, body.wait) or _told([])
    finally:
        places.release()


@route(router, "POST", f"{EXECUTION}/commit", scope="consume", answer=SettledAnswer)
def commit_one(request: HttpRequest, execution: str, body: CommitBody) -> SettledAnswer:
    """Commit an execution: it has succeeded. Repeating the call returns the same response."""
    settled = commit(execution, body.token, result=body.result)
    return SettledAnswer(execution=settled.execution, outcome=settled.outcome)


@route(router, "POST", f"{EXECUTION}/discard", scope="consume", answer=SettledAnswer)
def discard_one(request: HttpRequest, execution: str, body: DiscardBody) -> SettledAnswer:
    """Discard an execution: it is delivered again, and the attempt counts.

    Repeating the call returns the same response.
    """
    settled = discard(execution, body.token, delay=body.delay, reason=body.reason)
    return SettledAnswer(execution=settled.execution, outcome=settled.outcome)


@route(router, "POST", f"{EXECUTION}/extend", scope="consume", answer=ExtendedAnswer)
def extend_one(request: HttpRequest, execution: str, body: ExtendBody) -> ExtendedAnswer:
    """Extend the lease of a claim to the given number of seconds from now.

    It applies to everything claimed together.
    """
    kept = extend(execution, body.token, lease=body.lease)
    return ExtendedAnswer(execution=execution, expires_at=kept.expires_at, cancelled=list(kept.cancelled))


@route(router, "POST", "/claims/commit", scope="consume", answer=SettledMany)
def commit_these(request: HttpRequest, body: CommitMany) -> SettledMany:
    """Commit many executions at once. An error in one does not affect the others."""
    who = caller(request)
    seen = [who.has_all_groups or is_visible(who, "execution", item.execution) for item in body.items]
    theirs = [item for item, is_seen in zip(body.items, seen, strict=True) if is_seen]
    answers = iter(commit_many([Commit(item.execution, item.token, item.result) for item in theirs]))
    unseen = InvalidRequest("execution", not_found().detail)
    return SettledMany(
        results=[
            _settled(item, next(answers) if is_seen else unseen) for item, is_seen in zip(body.items, seen, strict=True)
        ]
    )


def _settled(item: CommitOne, answer: Settled | TimersError) -> SettledOne:
    if isinstance(answer, Settled):
        return SettledOne(execution=item.execution, outcome=answer.outcome)
    problems = answer.problems if isinstance(answer, InvalidRequest) else [FieldProblem("token", str(answer))]
    errors = [FieldProblemAnswer(field=problem.field, message=problem.message) for problem in problems]
    return SettledOne(execution=item.execution, errors=errors)


def _told(messages: Sequence[Message]) -> HttpResponse:
    answers = [
        MessageAnswer.model_construct(
            execution=each.execution, token=each.token, expires_at=each.expires_at, envelope=each.envelope
        )
        for each in messages
    ]
    return rendered(ClaimAnswer.model_construct(messages=answers), 200)


def _waited(attempt: Callable[[], HttpResponse | None], group: str, seconds: float) -> HttpResponse | None:
    """Return the first response within `seconds`. No transaction is open between two checks."""
    deadline = time.monotonic() + seconds
    pause = _SHORTEST_SLEEP
    while (left := deadline - time.monotonic()) > 0:
        due = seconds_to_next(group)
        if due is None or due > 0:
            soonest, pause = _LOOKS_EVERY if due is None else min(due, _LOOKS_EVERY), _SHORTEST_SLEEP
        else:
            # What is due but was not claimed may never be: the group is paused, or it is for another subscription.
            soonest, pause = pause, min(2 * pause, _LOOKS_EVERY)
        time.sleep(min(max(soonest, _SHORTEST_SLEEP), left))
        found = attempt()
        if found is not None:
            return found
    return None


@cache
def _waiting_places() -> BoundedSemaphore:
    return BoundedSemaphore(conf.current().api_waiting)
