"""Routes of groups: create, list, read, change, delete, pause, resume."""

from __future__ import annotations

from typing import Annotated, Any, Final

from django.http import HttpRequest
from ninja import Body as InBody
from ninja import Query, Router
from pydantic import WithJsonSchema

from timers.api.authentication import caller
from timers.api.conditions import IF_MATCH, check_version, etag, wanted_version
from timers.api.fields import EmptyBody
from timers.api.group_answer import GroupAnswer
from timers.api.paging import Page, PageQuery, cursor_after, position
from timers.api.route import Answer, route
from timers.api.schemas import ACTION, KEY_PATH, NAME, NAMES, POLICIES, RATE
from timers.api.timer_verbs import PauseBody
from timers.database import transaction
from timers.domain.cluster_modes import PLACEMENTS
from timers.domain.json_schema import TEXT, Schema, choice, duration, keywords, maybe, number
from timers.domain.limits import MAX_CONCURRENCY
from timers.domain.payload import MAX_BYTES
from timers.domain.policies import MAX_SECONDS
from timers.exceptions import InvalidRequest, TimerNotFound
from timers.models import TimerGroup
from timers.scheduling import create_group, delete_group, pause_group, resume_group, update_group

router = Router(tags=["groups"])
GROUP = "/groups/{group}"

FIELDS: Final[dict[str, Schema]] = {
    "description": TEXT,
    "partition": NAME,
    "priority": number(-1000, 1000, whole=True),
    "shards": number(1, 1024, whole=True),
    "required_roles": NAMES,
    "placement": choice(*PLACEMENTS),
    "action": maybe(ACTION),
    "max_batch": number(1, 10_000, whole=True),
    "retention": maybe(number(1, 36_500, "Days.", whole=True)),
    "max_timers": maybe(number(1, 1_000_000_000, "Active and paused timers.", whole=True)),
    "max_payload_bytes": maybe(number(1, MAX_BYTES, "Bytes.", whole=True)),
    "min_interval": maybe(duration(0, MAX_SECONDS, "Between two fires of a timer.")),
    "max_concurrency": maybe(number(1, MAX_CONCURRENCY, "Executions that are claimed at once.", whole=True)),
    "max_rate": maybe(RATE),
    "concurrency_key": maybe(KEY_PATH),
    "max_concurrency_per_key": maybe(number(1, MAX_CONCURRENCY, "Executions of one key.", whole=True)),
    "max_rate_per_key": maybe(RATE),
    **POLICIES,
}
NewGroup = Annotated[dict[str, Any], WithJsonSchema(keywords({"name": NAME, **FIELDS}, ["name"]))]
GroupChanges = Annotated[dict[str, Any], WithJsonSchema(keywords(FIELDS, []))]


@route(router, "GET", "/groups", scope="read", answer=Page[GroupAnswer])
def list_groups(request: HttpRequest, query: Query[PageQuery]) -> Page[GroupAnswer]:
    """List the groups that the caller may see, by name."""
    rows = TimerGroup.objects.order_by("name")
    begin, seen = position(request, query), caller(request).groups
    if seen is not None:
        rows = rows.filter(name__in=seen)
    if begin is not None:
        rows = rows.filter(name__gt=begin[0])
    found = list(rows[: query.limit + 1])
    page = found[: query.limit]
    return Page(
        items=[GroupAnswer.of(row) for row in page],
        next=cursor_after(request, [page[-1].name]) if len(found) > len(page) else None,
    )


@route(router, "POST", "/groups", scope="admin", answer=GroupAnswer, status=201)
def post_group(request: HttpRequest, body: InBody[NewGroup]) -> Answer:
    """Create a group."""
    name = body.pop("name", None)
    if isinstance(name, str) and not caller(request).sees(name):
        raise InvalidRequest("name", "must be one of the groups that this key is for", given=name)
    if "actor" in body:
        raise InvalidRequest("actor", "is not known here")
    group = create_group(name, actor=caller(request).actor, **body)
    return Answer(GroupAnswer.of(group), headers=etag(group.version))


@route(router, "GET", GROUP, scope="read", answer=GroupAnswer)
def read_group(request: HttpRequest, group: str) -> Answer:
    """Read one group."""
    return _told(_row(group))


@route(router, "PATCH", GROUP, scope="admin", answer=GroupAnswer, openapi={"parameters": [IF_MATCH]})
def patch_group(request: HttpRequest, group: str, body: InBody[GroupChanges]) -> Answer:
    """Change the given fields. Workers apply them at their next poll."""
    for word in ("name", "actor"):
        if word in body:
            raise InvalidRequest(word, "cannot be changed")
    with transaction.atomic():
        check_version(_row(group, lock=True).version, wanted_version(request))
        return _told(update_group(group, **body))


@route(router, "DELETE", GROUP, scope="admin", answer=None, openapi={"parameters": [IF_MATCH]})
def remove_group(request: HttpRequest, group: str, force: bool = False) -> None:
    """Delete a group. A group that has timers is deleted, together with them, only with `force`."""
    with transaction.atomic():
        check_version(_row(group, lock=True).version, wanted_version(request))
        delete_group(group, force=force, actor=caller(request).actor)


@route(router, "POST", f"{GROUP}/pause", scope="operate", answer=GroupAnswer)
def pause(request: HttpRequest, group: str, body: PauseBody = PauseBody()) -> Answer:
    """Pause a group: none of its timers fires until it is resumed, manually or automatically."""
    return _told(pause_group(group, until=body.until, reason=body.reason, actor=caller(request).actor))


@route(router, "POST", f"{GROUP}/resume", scope="operate", answer=GroupAnswer)
def resume(request: HttpRequest, group: str, body: EmptyBody = EmptyBody()) -> Answer:
    """Resume a group. Fires missed in the meantime follow the misfire policy."""
    return _told(resume_group(group, actor=caller(request).actor))


def _row(name: str, *, lock: bool = False) -> TimerGroup:
    rows = TimerGroup.objects.select_for_update(no_key=True) if lock else TimerGroup.objects
    group = rows.filter(name=name).first()
    if group is None:
        raise TimerNotFound(f"there is no group {name!r}")
    return group


def _told(group: TimerGroup) -> Answer:
    return Answer(GroupAnswer.of(group), headers=etag(group.version))
