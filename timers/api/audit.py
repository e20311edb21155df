"""Routes of the audit trail: who changed what."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from django.http import HttpRequest
from ninja import Query, Router
from pydantic import BaseModel, ConfigDict, Field

from timers.api.authentication import caller
from timers.api.fields import Instant, Name
from timers.api.paging import Page, PageQuery, cursor_after, position
from timers.api.route import route
from timers.insights.audit import Subject, find

router = Router(tags=["audit"])


class AuditQuery(PageQuery):
    """Filters of audit entries."""

    actor: Name | None = None
    verb: Annotated[str | None, Field(max_length=40, description="Such as timer.pause.")] = None
    subject: Annotated[
        str | None, Field(max_length=450, description="Such as timer:reports/nightly, group:reports, or key.")
    ] = None
    since: Instant | None = None
    until: Instant | None = Field(default=None, description="Before this instant.")


class AuditAnswer(BaseModel):
    """One audited request that was carried out."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    at: datetime
    actor: str
    key_id: int | None
    address: str
    request_id: str
    verb: str
    subject_kind: str
    subject_group: str
    group_id: int | None = Field(description="The group's identity; a later group of its name has another one.")
    subject_name: str
    subject_id: str
    before: Any = Field(description="What changed, as it was.")
    after: Any = Field(description="What changed, as it is now.")


@route(router, "GET", "/audit", scope="admin", answer=Page[AuditAnswer])
def list_audit(request: HttpRequest, query: Query[AuditQuery]) -> Page[AuditAnswer]:
    """List audit entries, newest first. A key limited to certain groups sees only entries about these groups."""
    begin = position(request, query)
    page = find(
        groups=caller(request).groups,
        actor=query.actor,
        verb=query.verb,
        subject=None if query.subject is None else Subject.parse(query.subject),
        since=query.since,
        until=query.until,
        before=None if begin is None else (datetime.fromisoformat(begin[0]), begin[1]),
        limit=query.limit,
    )
    return Page(
        items=[AuditAnswer.model_validate(row) for row in page.entries],
        next=None if page.next is None else cursor_after(request, [page.next[0].isoformat(), page.next[1]]),
    )
