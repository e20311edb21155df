"""Routes of subscriptions of a group: create, list, read, change, delete, pause, resume."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final, Literal

from django.http import HttpRequest
from ninja import Body as InBody
from ninja import Router
from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from timers.api.authentication import caller
from timers.api.conditions import IF_MATCH, etag, wanted_version
from timers.api.executions import ReasonBody
from timers.api.fields import EmptyBody, Name, Reason
from timers.api.groups import GROUP
from timers.api.route import Answer, route
from timers.api.schemas import ACTION, NAME, RETRY, refuse_unknown
from timers.domain.json_schema import TEXT, Schema, choice, keywords, maybe
from timers.models import Subscription
from timers.subscriptions import (
    create_subscription,
    delete_subscription,
    find_subscription,
    list_subscriptions,
    pause_subscription,
    resume_subscription,
    update_subscription,
)

router = Router(tags=["subscriptions"])
SUBSCRIPTIONS = f"{GROUP}/subscriptions"
SUBSCRIPTION = f"{GROUP}/subscriptions/{{subscription}}"

_FIELDS: Final[dict[str, Schema]] = {
    "description": TEXT,
    "mode": choice(*Subscription.Mode.values),
    "action": ACTION,
    "filter": maybe({"type": "object", "description": "Which timers it is for, by their tags and payloads."}),
    "retry": maybe(RETRY),
}
_NEW: Final = keywords({"name": NAME, **_FIELDS}, ["name", "action"])
NewSubscription = Annotated[dict[str, Any], WithJsonSchema(_NEW)]
SubscriptionChanges = Annotated[dict[str, Any], WithJsonSchema(keywords(_FIELDS, []))]


class SubscriptionAnswer(BaseModel):
    """One of several receivers of the executions of a group's timers."""

    model_config = ConfigDict(from_attributes=True)

    name: str
    description: str
    mode: Literal["queue", "broadcast"]
    action: Any
    filter: Any
    retry: Any
    state: Literal["active", "paused", "deleted"]
    state_reason: str
    version: int
    created_at: datetime
    updated_at: datetime
    updated_by: str
    in_flight: list[str] = Field(
        default=[], description="Of a pause or change: claimed executions that it came too late for."
    )


class SubscriptionsAnswer(BaseModel):
    """The subscriptions of a group by name."""

    items: list[SubscriptionAnswer]


class SubscriptionDeleted(BaseModel):
    """What happened to the executions of a deleted subscription."""

    cancelled: int = Field(description="Executions that waited for it, and that nobody else could take.")
    handed_over: int = Field(description="Executions that waited for it, and went to others.")
    in_flight: list[str] = Field(description="Executions that are held for it.")


@route(router, "GET", SUBSCRIPTIONS, scope="read", answer=SubscriptionsAnswer)
def list_of_group(request: HttpRequest, group: str) -> SubscriptionsAnswer:
    """List the subscriptions of a group."""
    return SubscriptionsAnswer(items=[SubscriptionAnswer.model_validate(row) for row in list_subscriptions(group)])


@route(router, "POST", SUBSCRIPTIONS, scope="admin", answer=SubscriptionAnswer, status=201)
def subscribe(request: HttpRequest, group: str, body: InBody[NewSubscription]) -> Answer:
    """Create a subscription to the timers of a group."""
    refuse_unknown(body, {"name", *_FIELDS})
    name, action = body.pop("name", None), body.pop("action", None)
    return _told(create_subscription(group, name, action=action, actor=caller(request).actor, **body))


@route(router, "GET", SUBSCRIPTION, scope="read", answer=SubscriptionAnswer)
def read_subscription(request: HttpRequest, group: str, subscription: Name) -> Answer:
    """Read one subscription."""
    return _told(find_subscription(group, subscription))


@route(
    router, "PATCH", SUBSCRIPTION, scope="admin", answer=SubscriptionAnswer, openapi={"parameters": [IF_MATCH]}
)  # fmt: skip
def patch_subscription(
    request: HttpRequest, group: str, subscription: Name, body: InBody[SubscriptionChanges]
) -> Answer:
    """Change the given fields."""
    refuse_unknown(body, set(_FIELDS))
    row = update_subscription(group, subscription, version=wanted_version(request), actor=caller(request).actor, **body)
    return _told(row)


@route(router, "DELETE", SUBSCRIPTION, scope="admin", answer=SubscriptionDeleted, openapi={"parameters": [IF_MATCH]})
def unsubscribe(request: HttpRequest, group: str, subscription: Name, reason: Reason = "") -> SubscriptionDeleted:
    """Delete a subscription. Its waiting executions go to other subscriptions, or are cancelled."""
    gone = delete_subscription(
        group, subscription, version=wanted_version(request), reason=reason, actor=caller(request).actor
    )
    return SubscriptionDeleted(cancelled=gone.cancelled, handed_over=gone.handed_over, in_flight=gone.in_flight)


@route(router, "POST", f"{SUBSCRIPTION}/pause", scope="operate", answer=SubscriptionAnswer)
def pause(request: HttpRequest, group: str, subscription: Name, body: ReasonBody = ReasonBody()) -> Answer:
    """Pause a subscription: nothing is delivered to it until it is resumed."""
    return _told(pause_subscription(group, subscription, reason=body.reason, actor=caller(request).actor))


@route(router, "POST", f"{SUBSCRIPTION}/resume", scope="operate", answer=SubscriptionAnswer)
def resume(request: HttpRequest, group: str, subscription: Name, body: EmptyBody = EmptyBody()) -> Answer:
    """Resume a subscription. What waited for it is delivered first."""
    return _told(resume_subscription(group, subscription, actor=caller(request).actor))


def _told(row: Subscription) -> Answer:
    return Answer(SubscriptionAnswer.model_validate(row), headers=etag(row.version))
