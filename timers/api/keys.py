"""Routes of application keys: create, list, read, change, rotate, revoke. A key's text is in one response only."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final, Literal

from django.contrib.auth import get_user_model
from django.http import HttpRequest
from ninja import Body as InBody
from ninja import Query, Router
from pydantic import BaseModel, Field, WithJsonSchema

from timers import clock
from timers.api.authentication import caller
from timers.api.conditions import IF_MATCH, etag, wanted_version
from timers.api.fields import Body, EmptyBody, Seconds
from timers.api.paging import Page, PageQuery, cursor_after, position
from timers.api.route import Answer, route
from timers.api.schemas import FLAG, NAMES, refuse_unknown
from timers.control.keys import OVERLAP, create_key, revoke_key, rotate_key, update_key
from timers.database import transaction
from timers.domain.json_schema import INSTANT, TEXT, Schema, choice, keywords, maybe
from timers.domain.policies import MAX_SECONDS
from timers.exceptions import TimerNotFound
from timers.insights.keys import key_state
from timers.models import ApplicationKey
from timers.models.application_key import with_user
from timers.security.grants import check_giver
from timers.security.scopes import SCOPES

router = Router(tags=["keys"])
KEY = "/keys/{key}"
_HOLDS_A_KEY: Final = "the answer holds the key, and is kept nowhere"

_FIELDS: Final[dict[str, Schema]] = {
    "name": {"type": "string", "minLength": 1, "maxLength": 100},
    "scopes": {"type": "array", "items": choice(*SCOPES), "minItems": 1},
    "groups": maybe(NAMES),
    "all_groups": FLAG,
    "allowed_addresses": {"type": "array", "items": TEXT, "description": "Networks such as 10.20.0.0/16."},
    "expires_at": maybe(INSTANT),
    "rate": maybe({"type": "number", "description": "Requests per second in each web process."}),
}
NewKey = Annotated[
    dict[str, Any],
    WithJsonSchema(
        keywords({**_FIELDS, "user": {"type": "string", "description": "Left out: you."}}, ["name", "scopes"])
    ),
]
KeyChanges = Annotated[dict[str, Any], WithJsonSchema(keywords(_FIELDS, []))]


class KeyAnswer(BaseModel):
    """An application key, without its secret."""

    id: str
    name: str
    user: str
    scopes: list[str]
    all_groups: bool
    groups: list[str]
    allowed_addresses: list[str]
    rate: float | None
    state: Literal["valid", "expiring", "expired", "revoked"]
    expires_at: datetime | None
    last_used_at: datetime | None
    last_used_address: str | None
    previous_until: datetime | None = Field(description="Until then the secret before the last rotation holds too.")
    revoked_at: datetime | None
    version: int
    created_at: datetime
    created_by: str
    updated_at: datetime
    updated_by: str


class KeyMade(KeyAnswer):
    """A key that was just created or rotated."""

    key: str = Field(description="The key itself: this once, and never again.")


class RotateBody(Body):
    """How long the previous secret remains valid."""

    overlap: Annotated[float, Seconds(0, MAX_SECONDS)] = OVERLAP.total_seconds()


@route(router, "GET", "/keys", scope="admin", answer=Page[KeyAnswer], all_groups=True)
def list_keys(request: HttpRequest, query: Query[PageQuery]) -> Page[KeyAnswer]:
    """List application keys, newest first. Revoked keys are included."""
    begin = position(request, query)
    rows = with_user(ApplicationKey.objects.all()).prefetch_related("groups").order_by("-id")
    if begin is not None:
        rows = rows.filter(id__lt=begin[0])
    found = list(rows[: query.limit + 1])
    page = found[: query.limit]
    now = clock.now()
    return Page(
        items=[KeyAnswer(**_fields(row, now)) for row in page],
        next=cursor_after(request, [page[-1].pk]) if len(found) > len(page) else None,
    )


@route(
    router, "POST", "/keys", scope="admin", answer=KeyMade, status=201, all_groups=True, unrepeatable=_HOLDS_A_KEY
)  # fmt: skip
def make_key(request: HttpRequest, body: InBody[NewKey]) -> Answer:
    """Create an application key. An Idempotency-Key is refused, because the response is not stored."""
    refuse_unknown(body, {*_FIELDS, "user"})
    who = caller(request)
    user = body.pop("user") if "user" in body else get_user_model().objects.get(pk=who.user_id)
    with transaction.atomic():
        row, text = create_key(
            body.pop("name", None), user=user, scopes=body.pop("scopes", []), actor=who.actor, **body
        )
        check_giver(who.user_id, row.user_id)
    return _made(row, text)


@route(router, "GET", KEY, scope="admin", answer=KeyAnswer, all_groups=True)
def read_key(request: HttpRequest, key: str) -> Answer:
    """Read one application key."""
    row = _row(key)
    return Answer(KeyAnswer(**_fields(row, clock.now())), headers=etag(row.version))


@route(
    router, "PATCH", KEY, scope="admin", answer=KeyAnswer, all_groups=True, openapi={"parameters": [IF_MATCH]}
)  # fmt: skip
def patch_key(request: HttpRequest, key: str, body: InBody[KeyChanges]) -> Answer:
    """Change the given fields. The change takes effect within a second."""
    # Only what would be passed as an argument; other unknown fields are reported together with all other errors.
    refuse_unknown(body.keys() & {"public_id", "version", "actor"}, set(_FIELDS))
    check_giver(caller(request).user_id, _row(key).user_id)
    row = update_key(key, version=wanted_version(request), actor=caller(request).actor, **body)
    return Answer(KeyAnswer(**_fields(row, clock.now())), headers=etag(row.version))


@route(router, "POST", f"{KEY}/rotate", scope="admin", answer=KeyMade, all_groups=True, unrepeatable=_HOLDS_A_KEY)
def rotate(request: HttpRequest, key: str, body: RotateBody = RotateBody()) -> Answer:
    """Give a key a new secret. The previous one remains valid during the overlap."""
    check_giver(caller(request).user_id, _row(key).user_id)
    return _made(*rotate_key(key, overlap=body.overlap, actor=caller(request).actor))


@route(router, "POST", f"{KEY}/revoke", scope="admin", answer=KeyAnswer, all_groups=True)
def revoke(request: HttpRequest, key: str, body: EmptyBody = EmptyBody()) -> Answer:
    """Revoke a key permanently. It is refused everywhere within a second."""
    row = revoke_key(key, actor=caller(request).actor)
    return Answer(KeyAnswer(**_fields(row, clock.now())), headers=etag(row.version))


def _row(key: str) -> ApplicationKey:
    row = with_user(ApplicationKey.objects.filter(public_id=key)).first()
    if row is None:
        raise TimerNotFound(f"there is no application key {key!r}")
    return row


def _made(row: ApplicationKey, text: str) -> Answer:
    return Answer(KeyMade(**_fields(row, clock.now()), key=text), headers=etag(row.version))


def _fields(row: ApplicationKey, now: datetime) -> dict[str, Any]:
    same = KeyAnswer.model_fields.keys() - {"id", "user", "groups", "state"}
    return {
        **{name: getattr(row, name) for name in same},
        "id": row.public_id,
        "user": row.username,
        "groups": sorted(group.name for group in row.groups.all()),
        "state": key_state(row, now),
    }
