"""Routes that change orders, one or many: suspend, resume, skip, move, reset, cancel, prioritize, answer."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from django.http import HttpRequest, HttpResponse
from ninja import Body as InBody
from ninja import Router
from pydantic import BaseModel, Field, StrictInt, WithJsonSchema

from timers import chains
from timers.api.authentication import caller
from timers.api.executions import PayloadBody, ReasonBody
from timers.api.fields import Body, EmptyBody, Name
from timers.api.idempotent import once_in_parts
from timers.api.many_orders import ManyOrdersWork
from timers.api.order_answer import OrderInFull, order_in_full
from timers.api.orders import ORDER
from timers.api.route import rendered, route
from timers.api.schemas import ANY, NAME, OBJECT, refuse_unknown
from timers.control.chains.many_checks import VERBS
from timers.domain.json_schema import TEXT, Schema, choice, keywords, maybe, number
from timers.engine.resumable import Plan, Progress

router = Router(tags=["orders"])

_FILTER: Final[Schema] = {
    **keywords(
        {
            "group": NAME, "chain": NAME, "step": NAME, "state": choice(*chains.STATES), "name": NAME,
            "parent": {"type": "string", "format": "uuid"},
        },
        [],
    ),
    "description": "Conditions that all hold; chain, name or parent must be among them.",
}  # fmt: skip
_MANY: Final[dict[str, Schema]] = {
    "verb": choice(*VERBS),
    "filter": _FILTER,
    "limit": number(1, chains.MOST, "The most orders of this call.", whole=True),
    "before": maybe({"type": "string", "description": "`next` of the call before."}),
    "reason": {**TEXT, "description": "Of suspend, cancel and refuse."},
    "at": maybe({**NAME, "description": "Of resume: the step to go on from."}),
    "variables": maybe({**OBJECT, "description": "Of resume: variables to set before."}),
    "version": maybe(
        {"anyOf": [{"type": "integer"}, {"const": "newest"}], "description": "Of resume: the version to go on with."}
    ),
    "to": {**NAME, "description": "Of move: the step."},
    "priority": number(-9, 9, "Of prioritize.", whole=True),
    "name": {**NAME, "description": "Of signal: its name."},
    "payload": {**ANY, "description": "Of signal."},
}
ManyOrders = Annotated[dict[str, Any], WithJsonSchema(keywords(_MANY, ["verb", "filter"]))]


class ResumeBody(Body):
    """Where to continue, and with which variables."""

    at: Name | None = Field(default=None, description="The step to go on from; without one: where it is.")
    variables: dict[str, Any] | None = Field(default=None, description="Variables to set before.")
    version: StrictInt | Literal["newest"] | None = Field(
        default=None, description="The version of its chain to go on with; without one: its own."
    )


class MoveBody(Body):
    """Target step."""

    to: Name


class PrioritizeBody(Body):
    """New priority."""

    priority: StrictInt = Field(description="From -9 to 9; higher ones are claimed first.")


class RefusedAnswer(BaseModel):
    """An order that refused the verb, and why."""

    order: str
    message: str


class ManyAnswer(BaseModel):
    """Result of a verb for many orders."""

    done: list[str]
    refused: list[RefusedAnswer]
    next: str | None = Field(description="There are more orders than one call takes: give it as `before`.")


@route(router, "POST", "/orders/by-filter", scope="operate", answer=ManyAnswer, in_parts=True)
def many(request: HttpRequest, body: InBody[ManyOrders]) -> HttpResponse:
    """Apply a verb to all orders that match a filter, each in its own transaction. Refusals are reported.

    Repeated with its Idempotency-Key, an interrupted request continues with the orders that are left.
    """
    refuse_unknown(body, _MANY)
    work = ManyOrdersWork(caller(request), body)

    def whole() -> HttpResponse:
        return _many_told(work.whole())

    def go_on(plan: Plan, progress: Progress) -> Progress | HttpResponse:
        result = work.go_on(plan, progress)
        return _many_told(result) if isinstance(result, chains.ManyOrders) else result

    return once_in_parts(request, caller(request), whole, work.begin, go_on)


@route(router, "POST", f"{ORDER}/suspend", scope="operate", answer=OrderInFull)
def suspend(request: HttpRequest, order: str, body: ReasonBody = ReasonBody()) -> OrderInFull:
    """Suspend this order until it is resumed. A running step finishes first."""
    chains.suspend_order(order, reason=body.reason, actor=caller(request).actor)
    return _told(order)


@route(router, "POST", f"{ORDER}/resume", scope="operate", answer=OrderInFull)
def resume(request: HttpRequest, order: str, body: ResumeBody = ResumeBody()) -> OrderInFull:
    """Resume a suspended order, or a failed one from the step that failed. Completed work is kept.

    With a `version`, the order continues with that version, which must have the step and the branches of the order.
    """
    actor = caller(request).actor
    chains.resume_order(order, at=body.at, variables=body.variables, version=body.version, actor=actor)
    return _told(order)


@route(router, "POST", f"{ORDER}/skip", scope="operate", answer=OrderInFull)
def skip(request: HttpRequest, order: str, body: EmptyBody = EmptyBody()) -> OrderInFull:
    """Skip the step that an order is at."""
    chains.skip_step_of(order, actor=caller(request).actor)
    return _told(order)


@route(router, "POST", f"{ORDER}/move", scope="operate", answer=OrderInFull)
def move(request: HttpRequest, order: str, body: MoveBody) -> OrderInFull:
    """Move an order to another step, suspended or not."""
    chains.move_order(order, body.to, actor=caller(request).actor)
    return _told(order)


@route(router, "POST", f"{ORDER}/reset", scope="operate", answer=OrderInFull)
def reset(request: HttpRequest, order: str, body: EmptyBody = EmptyBody()) -> OrderInFull:
    """Move an order to its first step; its variables stay."""
    chains.reset_order(order, actor=caller(request).actor)
    return _told(order)


@route(router, "POST", f"{ORDER}/cancel", scope="operate", answer=OrderInFull)
def cancel(request: HttpRequest, order: str, body: ReasonBody = ReasonBody()) -> OrderInFull:
    """Cancel an order: its finally steps run, then it ends as cancelled; a second cancel ends it at once."""
    chains.cancel_order(order, reason=body.reason, actor=caller(request).actor)
    return _told(order)


@route(router, "POST", f"{ORDER}/prioritize", scope="operate", answer=OrderInFull)
def prioritize(request: HttpRequest, order: str, body: PrioritizeBody) -> OrderInFull:
    """Set the priority of an order, its branches and its sub-chains. Higher priorities are claimed first."""
    chains.prioritize_order(order, body.priority, actor=caller(request).actor)
    return _told(order)


@route(router, "POST", f"{ORDER}/approve", scope="operate", answer=OrderInFull)
def approve(request: HttpRequest, order: str, body: EmptyBody = EmptyBody()) -> OrderInFull:
    """Approve the approval that an order waits for."""
    chains.approve_order(order, actor=caller(request).actor)
    return _told(order)


@route(router, "POST", f"{ORDER}/refuse", scope="operate", answer=OrderInFull)
def refuse(request: HttpRequest, order: str, body: ReasonBody = ReasonBody()) -> OrderInFull:
    """Refuse the approval that an order waits for."""
    chains.refuse_order(order, reason=body.reason, actor=caller(request).actor)
    return _told(order)


@route(router, "POST", f"{ORDER}/signals/{{signal}}", scope="operate", answer=OrderInFull)
def send_signal(request: HttpRequest, order: str, signal: Name, body: PayloadBody = PayloadBody()) -> OrderInFull:
    """Send an order the signal that it waits for."""
    chains.signal_order(order, signal, body.payload, actor=caller(request).actor)
    return _told(order)


def _many_told(result: chains.ManyOrders) -> HttpResponse:
    refused = [RefusedAnswer(order=each.order, message=each.message) for each in result.refused]
    return rendered(ManyAnswer(done=result.done, refused=refused, next=result.next), 200)


def _told(order: str) -> OrderInFull:
    return order_in_full(chains.get_order(order))
