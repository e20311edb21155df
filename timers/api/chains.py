"""Routes of chains: create, list, read, add versions, delete; stop and start chains and steps."""

from __future__ import annotations

from typing import Annotated, Any, Final

from django.http import HttpRequest
from ninja import Body as InBody
from ninja import Query, Router
from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from timers import chains
from timers.api.authentication import caller
from timers.api.chain_answer import (
    ChainAnswer,
    ChainInFull,
    ChangeAnswer,
    DiffAnswer,
    PictureAnswer,
    StepAnswer,
    StepsAnswer,
    StepStateAnswer,
    VersionAnswer,
    VersionInFull,
)
from timers.api.conditions import IF_MATCH, etag, wanted_version
from timers.api.executions import ReasonBody
from timers.api.fields import Name
from timers.api.groups import GROUP
from timers.api.paging import Page, PageQuery, cursor_after, position
from timers.api.problems import not_found
from timers.api.route import Answer, route
from timers.api.schemas import NAME, refuse_unknown
from timers.domain.json_schema import Schema, keywords
from timers.exceptions import InvalidRequest
from timers.insights.step_durations import step_durations
from timers.models import ChainStep, TimerGroup

router = Router(tags=["chains"])
CHAINS: Final = f"{GROUP}/chains"
CHAIN: Final = f"{CHAINS}/{{chain}}"
STEP: Final = f"{CHAIN}/steps/{{step}}"

_DEFINITION: Final[Schema] = {
    "type": "object",
    "description": "The steps by their names, and fields of the chain; docs/chains.md describes them.",
    "properties": {"steps": {"type": "object"}},
    "required": ["steps"],
    "examples": [{"steps": {"done": {"kind": "end"}}}],
}
NewChain = Annotated[
    dict[str, Any], WithJsonSchema(keywords({"name": NAME, "definition": _DEFINITION}, ["name", "definition"]))
]
NewVersion = Annotated[dict[str, Any], WithJsonSchema(keywords({"definition": _DEFINITION}, ["definition"]))]
_Number = Annotated[int, Field(ge=1, le=2_147_483_647)]


class PictureQuery(BaseModel):
    """Version of the picture."""

    model_config = ConfigDict(extra="forbid")

    version: _Number | None = Field(default=None, description="Default: the newest.")


class DiffQuery(BaseModel):
    """Versions to compare."""

    model_config = ConfigDict(extra="forbid")

    before: _Number | None = Field(default=None, description="Default: the one before `after`.")
    after: _Number | None = Field(default=None, description="Default: the newest.")


@route(router, "GET", CHAINS, scope="read", answer=Page[ChainAnswer])
def list_chains(request: HttpRequest, group: str, query: Query[PageQuery]) -> Page[ChainAnswer]:
    """List the chains of a group by name, with their numbers of orders."""
    if not TimerGroup.objects.filter(name=group).exists():
        raise not_found(f"group {group!r}")
    begin = position(request, query)
    found = chains.find_chains(group, after="" if begin is None else begin[0], limit=query.limit + 1)
    page = found[: query.limit]
    return Page(
        items=[ChainAnswer.of(view) for view in page],
        next=cursor_after(request, [page[-1].row.name]) if len(found) > len(page) else None,
    )


@route(router, "POST", CHAINS, scope="admin", answer=ChainInFull, status=201)
def post_chain(request: HttpRequest, group: str, body: InBody[NewChain]) -> Answer:
    """Create a chain."""
    refuse_unknown(body, {"name", "definition"})
    _need_definition(body)
    row = chains.create_chain(group, body.get("name", ""), body["definition"], actor=caller(request).actor)
    return _in_full(group, row.name)


@route(router, "GET", CHAIN, scope="read", answer=ChainInFull)
def read_chain(request: HttpRequest, group: str, chain: Name) -> Answer:
    """Read one chain with the definition of its newest version."""
    return _in_full(group, chain)


@route(router, "PUT", CHAIN, scope="admin", answer=ChainInFull, openapi={"parameters": [IF_MATCH]})
def put_chain(request: HttpRequest, group: str, chain: Name, body: InBody[NewVersion]) -> Answer:
    """Create a new version of a chain. New orders use it; orders in progress finish on their version."""
    refuse_unknown(body, {"definition"})
    _need_definition(body)
    chains.update_chain(group, chain, body["definition"], version=wanted_version(request), actor=caller(request).actor)
    return _in_full(group, chain)


@route(router, "DELETE", CHAIN, scope="admin", answer=None, openapi={"parameters": [IF_MATCH]})
def remove_chain(request: HttpRequest, group: str, chain: Name) -> None:
    """Delete a chain. Refused while orders of it are in progress; its history is kept."""
    chains.delete_chain(group, chain, version=wanted_version(request), actor=caller(request).actor)


@route(router, "GET", f"{CHAIN}/versions", scope="read", answer=Page[VersionAnswer])
def list_versions(request: HttpRequest, group: str, chain: Name, query: Query[PageQuery]) -> Page[VersionAnswer]:
    """List the versions of a chain, newest first."""
    begin = position(request, query)
    rows = chains.find_chain(group, chain).row.versions.order_by("-version").defer("definition")
    if begin is not None:
        rows = rows.filter(version__lt=begin[0])
    found = list(rows[: query.limit + 1])
    page = found[: query.limit]
    return Page(
        items=[VersionAnswer(**_version(row)) for row in page],
        next=cursor_after(request, [page[-1].version]) if len(found) > len(page) else None,
    )


@route(router, "GET", f"{CHAIN}/versions/{{version}}", scope="read", answer=VersionInFull)
def read_version(request: HttpRequest, group: str, chain: Name, version: str) -> VersionInFull:
    """Read one version of a chain."""
    if not (version.isascii() and version.isdigit() and len(version) < 10):
        raise not_found(f"version {version!r} of chain {chain!r}")
    row, spec = chains.definition(group, chain, int(version))
    return VersionInFull(**_version(row), definition=spec.to_json())


@route(router, "GET", f"{CHAIN}/diff", scope="read", answer=DiffAnswer)
def read_diff(request: HttpRequest, group: str, chain: Name, query: Query[DiffQuery]) -> DiffAnswer:
    """Compare two versions of a chain."""
    after = query.after or chains.find_chain(group, chain).row.newest
    before = query.before or max(after - 1, 1)
    changes = chains.compare_versions(group, chain, before, after)
    return DiffAnswer(before=before, after=after, changes=[ChangeAnswer(**each.to_json()) for each in changes])


@route(router, "GET", f"{CHAIN}/picture", scope="read", answer=PictureAnswer)
def read_picture(request: HttpRequest, group: str, chain: Name, query: Query[PictureQuery]) -> PictureAnswer:
    """Read the picture of a chain, with the states of its steps and the number of orders at each."""
    return PictureAnswer(
        **chains.picture(group, chain, query.version),
        text=chains.picture_as_text(group, chain, query.version),
        svg=chains.picture_as_svg(group, chain, query.version),
    )


@route(router, "POST", f"{CHAIN}/stop", scope="operate", answer=ChainAnswer)
def stop(request: HttpRequest, group: str, chain: Name, body: ReasonBody = ReasonBody()) -> Answer:
    """Stop a chain: all orders wait before their next step."""
    chains.stop_chain(group, chain, reason=body.reason, actor=caller(request).actor)
    return _told(group, chain)


@route(router, "POST", f"{CHAIN}/start", scope="operate", answer=ChainAnswer)
def start(request: HttpRequest, group: str, chain: Name, body: ReasonBody = ReasonBody()) -> Answer:
    """Start a stopped chain: its orders continue."""
    chains.start_chain(group, chain, reason=body.reason, actor=caller(request).actor)
    return _told(group, chain)


@route(router, "GET", f"{CHAIN}/steps", scope="read", answer=StepsAnswer)
def list_steps(request: HttpRequest, group: str, chain: Name) -> StepsAnswer:
    """List the steps of a chain, with their states, numbers of orders and run times."""
    durations = step_durations(chains.find_chain(group, chain).row)
    views = chains.find_steps(group, chain)
    return StepsAnswer(items=[StepAnswer.of(view, durations.get(view.name)) for view in views])


@route(router, "POST", f"{STEP}/stop", scope="operate", answer=StepStateAnswer)
def stop_step(
    request: HttpRequest, group: str, chain: Name, step: Name, body: ReasonBody = ReasonBody()
) -> StepStateAnswer:
    """Stop a step: orders wait before it. Running attempts of the step are not interrupted."""
    return _state_of(chains.stop_step(group, chain, step, reason=body.reason, actor=caller(request).actor))


@route(router, "POST", f"{STEP}/skip", scope="operate", answer=StepStateAnswer)
def skip_step(
    request: HttpRequest, group: str, chain: Name, step: Name, body: ReasonBody = ReasonBody()
) -> StepStateAnswer:
    """Skip a step: orders pass it without running it."""
    return _state_of(chains.skip_step(group, chain, step, reason=body.reason, actor=caller(request).actor))


@route(router, "POST", f"{STEP}/activate", scope="operate", answer=StepStateAnswer)
def activate_step(
    request: HttpRequest, group: str, chain: Name, step: Name, body: ReasonBody = ReasonBody()
) -> StepStateAnswer:
    """Run a stopped or skipped step again."""
    return _state_of(chains.activate_step(group, chain, step, reason=body.reason, actor=caller(request).actor))


def _need_definition(body: dict[str, Any]) -> None:
    if "definition" not in body:
        raise InvalidRequest("definition", "is needed. Give an object with steps.")


def _told(group: str, chain: str) -> Answer:
    view = chains.find_chain(group, chain)
    return Answer(ChainAnswer.of(view), headers=etag(view.row.newest))


def _in_full(group: str, chain: str) -> Answer:
    view = chains.find_chain(group, chain)
    row, spec = chains.definition(group, chain, view.row.newest)
    return Answer(ChainInFull.with_definition(view, spec.to_json()), headers=etag(row.version))


def _version(row: Any) -> dict[str, Any]:
    return {"version": row.version, "created_at": row.created_at, "created_by": row.created_by}


def _state_of(row: ChainStep) -> StepStateAnswer:
    return StepStateAnswer(
        name=row.name, state=row.state, state_reason=row.state_reason,  # type: ignore[arg-type]
        state_changed_by=row.state_changed_by, state_changed_at=row.state_changed_at,
    )  # fmt: skip
