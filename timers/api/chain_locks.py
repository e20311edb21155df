"""Locks that the chains of a group share: list, declare, delete."""

from __future__ import annotations

from typing import Annotated, Any, Final

from django.http import HttpRequest
from ninja import Body as InBody
from ninja import Router
from pydantic import BaseModel, ConfigDict, WithJsonSchema

from timers import chains
from timers.api.authentication import caller
from timers.api.fields import Name
from timers.api.groups import GROUP
from timers.api.problems import not_found
from timers.api.route import route
from timers.api.schemas import keywords, number, refuse_unknown
from timers.domain.chains.limits import MAX_CAPACITY
from timers.models import ChainLock, TimerGroup

router = Router(tags=["chains"])
LOCKS: Final = f"{GROUP}/locks"

Capacity = Annotated[
    dict[str, Any],
    WithJsonSchema(
        keywords({"capacity": number(1, MAX_CAPACITY, "Orders that may hold it at once.", whole=True)}, ["capacity"])
    ),
]


class LockAnswer(BaseModel):
    """A lock that steps of chains take while they run."""

    model_config = ConfigDict(from_attributes=True)

    name: str
    capacity: int


class LocksAnswer(BaseModel):
    """The locks of a group by name."""

    items: list[LockAnswer]


@route(router, "GET", LOCKS, scope="read", answer=LocksAnswer)
def list_locks(request: HttpRequest, group: str) -> LocksAnswer:
    """List the locks that the chains of a group share."""
    row = TimerGroup.objects.filter(name=group).first()
    if row is None:
        raise not_found(f"group {group!r}")
    locks = ChainLock.objects.filter(group=row).order_by("name")
    return LocksAnswer(items=[LockAnswer.model_validate(lock) for lock in locks])


@route(router, "PUT", f"{LOCKS}/{{lock}}", scope="admin", answer=LockAnswer)
def put_lock(request: HttpRequest, group: str, lock: Name, body: InBody[Capacity]) -> LockAnswer:
    """Declare a lock, or change how many orders may hold it at once."""
    refuse_unknown(body, {"capacity"})
    made = chains.set_lock(group, lock, body.get("capacity"), actor=caller(request).actor)
    return LockAnswer.model_validate(made)


@route(router, "DELETE", f"{LOCKS}/{{lock}}", scope="admin", answer=None)
def remove_lock(request: HttpRequest, group: str, lock: Name) -> None:
    """Delete a lock that no chain takes."""
    chains.delete_lock(group, lock, actor=caller(request).actor)
