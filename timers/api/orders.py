"""Routes of orders of chains: list, read, history; add orders and change those that have not begun."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from django.http import HttpRequest
from ninja import Body as InBody
from ninja import Query, Router
from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from timers import chains
from timers.api.authentication import caller
from timers.api.chains import CHAIN
from timers.api.executions import ReasonBody
from timers.api.fields import EmptyBody, Name
from timers.api.order_answer import (
    OrderAnswer,
    OrderInFull,
    StepAttemptAnswer,
    attempt_answer,
    order_answer,
    order_in_full,
)
from timers.api.paging import Page, PageQuery, cursor_after, position
from timers.api.route import Answer, route
from timers.api.schemas import FLAG, NAME, OBJECT, refuse_unknown
from timers.api.timer_body import OWN, SHARED
from timers.control.chains.add import NOT_OF_ORDERS
from timers.control.create import ON_CONFLICT
from timers.domain.json_schema import Schema, choice, keywords, maybe
from timers.insights.one_order import next_order
from timers.insights.upcoming_orders import Place
from timers.models import Timer

router = Router(tags=["orders"])
ORDER: Final = "/orders/{order}"
ADDED: Final = f"{CHAIN}/orders"

OrderState = Literal[
    "ready", "waiting", "at_stopped", "at_limit", "locked", "joining", "suspended", "awaiting", "failed", "ended",
]  # fmt: skip
_NEW: Final[dict[str, Schema]] = {
    "name": NAME,
    "variables": maybe({**OBJECT, "description": "What the order begins with, at most 64 KB."}),
    "pending": {**FLAG, "description": "It waits until it is started.", "default": False},
    "on_conflict": {**choice(*ON_CONFLICT), "default": "reject"},
    "kind": choice(*OWN),
    **{word: schema for own in OWN.values() for word, schema in own.items()},
    **{word: schema for word, schema in SHARED.items() if word not in NOT_OF_ORDERS},
}
NewOrder = Annotated[
    dict[str, Any],
    WithJsonSchema(
        {
            **keywords(_NEW, ["name"]),
            "description": "An order that begins now; with the keywords of a schedule, one at each of its fires.",
            "examples": [{"name": "order-4711", "variables": {"file": "4711.xml"}}],
        }
    ),
]


class OrderQuery(PageQuery):
    """Filters of orders."""

    group: Name | None = None
    chain: Name | None = None
    step: Name | None = None
    state: OrderState | None = Field(
        default=None, description="Default: all that have not ended. Those whose step runs are among the ready ones."
    )
    name: Name | None = None
    parent: UUID | None = Field(default=None, description="The order whose branches, or whose sub-chain, they are.")
    branches: bool | None = Field(
        default=None, description="Branches and sub-chains too. Default: where step or parent is given."
    )


class OrderAdded(BaseModel):
    """An added order: the timer that begins it, and the known facts about the order."""

    result: Literal["created", "replaced", "kept"]
    id: str | None = Field(description="Of the order, or the first one; null: not known before it begins.")
    name: str
    group: str
    chain: str
    state: str = Field(description="scheduled; or pending, until it is started.")
    next_fire_at: Any = Field(description="When it begins.")


class UpcomingQuery(PageQuery):
    """Filters of orders that have not begun."""

    state: Literal["pending", "scheduled"] | None = None


class UpcomingAnswer(BaseModel):
    """An order that has not begun. For a timer that begins orders repeatedly, the next one."""

    model_config = ConfigDict(from_attributes=True)

    name: str = Field(description="Its timer's: by it the order is started, changed and withdrawn.")
    group: str
    chain: str
    state: str = Field(description="pending: until it is started; or scheduled.")
    id: str | None = Field(description="The order's; null: not known before it begins.")
    begins_at: datetime = Field(description="Of a pending one: the instant that it was given.")
    repeats: bool = Field(description="Its timer begins others after it.")
    reason: str
    priority: int
    created_at: datetime


class OrderChange(BaseModel):
    """Variables of an order that has not begun."""

    model_config = ConfigDict(extra="forbid")

    variables: dict[str, Any] = Field(description="Variables to set; the others stay as they are.")


@route(router, "GET", "/orders", scope="read", answer=Page[OrderAnswer])
def list_orders(request: HttpRequest, query: Query[OrderQuery]) -> Page[OrderAnswer]:
    """List orders that have begun, newest first. A page can be short and still have a next page."""
    begin = position(request, query)
    asked = query.model_dump(exclude={"cursor"}, exclude_none=True)
    page = chains.find_orders(
        groups=caller(request).groups, before_id=None if begin is None else UUID(begin[0]), **asked
    )
    return Page(
        items=[order_answer(view) for view in page.orders],
        next=None if page.next is None else cursor_after(request, [str(page.next)]),
    )


@route(router, "GET", ORDER, scope="read", answer=OrderInFull)
def read_order(request: HttpRequest, order: str) -> OrderInFull:
    """Read one order with its variables."""
    return order_in_full(chains.get_order(order))


@route(router, "GET", f"{ORDER}/history", scope="read", answer=Page[StepAttemptAnswer])
def read_history(request: HttpRequest, order: str, query: Query[PageQuery]) -> Page[StepAttemptAnswer]:
    """Read the history of an order, oldest first: each attempt of a step, and the end.

    Branches have their own history.
    """
    begin = position(request, query)
    rows = chains.history(order, after=0 if begin is None else begin[0], limit=query.limit + 1)
    page = rows[: query.limit]
    return Page(
        items=[attempt_answer(row) for row in page],
        next=cursor_after(request, [page[-1].attempt]) if len(rows) > len(page) else None,
    )


@route(router, "POST", ADDED, scope="schedule", answer=OrderAdded, status=201, also={200: OrderAdded})
def post_order(request: HttpRequest, group: str, chain: Name, body: InBody[NewOrder]) -> Answer:
    """Add an order: now, at an instant, by a schedule, or pending until it is started.

    201 if it was added; 200 if a timer of that name was replaced or kept, depending on `on_conflict`.
    """
    refuse_unknown(body, _NEW)
    name, pending = body.pop("name", None), body.pop("pending", False)
    created = chains.add_order(group, chain, name, pending=pending, actor=caller(request).actor, **body)
    assert created.timer is not None
    return Answer(_added(created.timer, chain, created.result), status=201 if created.result == "created" else 200)


@route(router, "GET", ADDED, scope="read", answer=Page[UpcomingAnswer])
def list_upcoming(request: HttpRequest, group: str, chain: Name, query: Query[UpcomingQuery]) -> Page[UpcomingAnswer]:
    """List the orders of a chain that have not begun, by name. A page can be short and still have a next page."""
    begin = position(request, query)
    page = chains.find_upcoming_orders(
        group, chain, state=query.state, after=None if begin is None else Place(*begin), limit=query.limit
    )
    return Page(
        items=[UpcomingAnswer.model_validate(each) for each in page.orders],
        next=None if page.next is None else cursor_after(request, page.next),
    )


@route(router, "PATCH", f"{ADDED}/{{name}}", scope="schedule", answer=OrderAdded)
def patch_order(request: HttpRequest, group: str, chain: Name, name: Name, body: OrderChange) -> OrderAdded:
    """Set variables of an order that has not begun."""
    changed = chains.change_order(group, chain, name, variables=body.variables, actor=caller(request).actor)
    return _added(changed, chain, "replaced")


@route(router, "POST", f"{ADDED}/{{name}}/withdraw", scope="operate", answer=None)
def withdraw_order(request: HttpRequest, group: str, chain: Name, name: Name, body: ReasonBody = ReasonBody()) -> None:
    """Cancel an order before it begins. For a timer that begins orders repeatedly, all future orders are cancelled."""
    chains.withdraw_order(group, chain, name, reason=body.reason, actor=caller(request).actor)


@route(router, "POST", f"{ADDED}/{{name}}/start", scope="operate", answer=OrderAdded)
def start_order(request: HttpRequest, group: str, chain: Name, name: Name, body: EmptyBody = EmptyBody()) -> OrderAdded:
    """Start a pending order."""
    return _added(chains.start_order(group, chain, name, actor=caller(request).actor), chain, "replaced")


def _added(timer: Timer, chain: str, result: str) -> OrderAdded:
    is_pending = timer.state == Timer.State.PAUSED
    return OrderAdded(
        result=result,  # type: ignore[arg-type]
        # The begin of a pending order, which its id contains, is not known yet.
        id=None if is_pending else next_order(timer), name=timer.name, group=timer.group.name, chain=chain,
        state="pending" if is_pending else "scheduled", next_fire_at=timer.next_fire_at,
    )  # fmt: skip
