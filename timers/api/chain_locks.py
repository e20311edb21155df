"""Routes of the locks that the chains of a group share: list, read, declare, delete."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from django.http import HttpRequest
from ninja import Body as InBody
from ninja import Router
from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from timers import chains
from timers.api.authentication import caller
from timers.api.fields import Name
from timers.api.groups import GROUP
from timers.api.route import route
from timers.api.schemas import refuse_unknown
from timers.domain.chains.limits import MAX_CAPACITY
from timers.domain.json_schema import keywords, number
from timers.insights.locks import AtLock, LockDetail, LockView, lock_views

router = Router(tags=["chains"])
LOCKS: Final = f"{GROUP}/locks"

Capacity = Annotated[
    dict[str, Any],
    WithJsonSchema(
        keywords({"capacity": number(1, MAX_CAPACITY, "Orders that may hold it at once.", whole=True)}, ["capacity"])
    ),
]


class LockAnswer(BaseModel):
    """A lock that steps of chains hold while they run."""

    name: str
    group: str
    capacity: int
    held: int = Field(description="Orders that hold it now; more than capacity only after that was made smaller.")
    waiting: int = Field(description="Orders that wait for it.")
    at_least: bool = Field(description="More orders wait than were counted.")

    @classmethod
    def of(cls, view: LockView) -> LockAnswer:
        """Build the response from a lock."""
        return cls(**_facts(view))


class AtLockAnswer(BaseModel):
    """An order that holds a lock or waits for it."""

    model_config = ConfigDict(from_attributes=True)

    order: UUID
    name: str = Field(description="Of the order's timer.")
    chain: str
    step: str
    since: datetime = Field(description="When its step was claimed, or when it came to wait.")
    node: str = Field(description="Who runs its step; empty: it waits.")


class LockInFull(LockAnswer):
    """A lock with up to 100 of the orders that hold it and up to 100 that wait for it."""

    holders: list[AtLockAnswer]
    waiters: list[AtLockAnswer] = Field(description="The next one first.")

    @classmethod
    def with_orders(cls, detail: LockDetail) -> LockInFull:
        """Build the response from a lock and its orders."""
        return cls(**_facts(detail.lock), holders=_orders(detail.holders), waiters=_orders(detail.waiters))


class LocksAnswer(BaseModel):
    """The locks of a group by name."""

    items: list[LockAnswer]


@route(router, "GET", LOCKS, scope="read", answer=LocksAnswer)
def list_locks(request: HttpRequest, group: str) -> LocksAnswer:
    """List the locks that the chains of a group share, with the numbers of orders that hold and await each."""
    return LocksAnswer(items=[LockAnswer.of(view) for view in chains.find_locks(group)])


@route(router, "GET", f"{LOCKS}/{{lock}}", scope="read", answer=LockInFull)
def read_lock(request: HttpRequest, group: str, lock: Name) -> LockInFull:
    """Read one lock, with the orders that hold it and those that wait for it."""
    return LockInFull.with_orders(chains.get_lock(group, lock))


@route(router, "PUT", f"{LOCKS}/{{lock}}", scope="admin", answer=LockAnswer)
def put_lock(request: HttpRequest, group: str, lock: Name, body: InBody[Capacity]) -> LockAnswer:
    """Declare a lock, or change how many orders can hold it at once."""
    refuse_unknown(body, {"capacity"})
    made = chains.set_lock(group, lock, body.get("capacity"), actor=caller(request).actor)
    return LockAnswer.of(*lock_views([made.pk]))


@route(router, "DELETE", f"{LOCKS}/{{lock}}", scope="admin", answer=None)
def remove_lock(request: HttpRequest, group: str, lock: Name) -> None:
    """Delete a lock. Refused while a chain uses it."""
    chains.delete_lock(group, lock, actor=caller(request).actor)


def _facts(view: LockView) -> dict[str, Any]:
    return {
        "name": view.name, "group": view.group, "capacity": view.capacity, "held": view.held,
        "waiting": view.waiting.value, "at_least": view.waiting.capped,
    }  # fmt: skip


def _orders(orders: Sequence[AtLock]) -> list[AtLockAnswer]:
    return [AtLockAnswer.model_validate(each) for each in orders]
