"""Paging by opaque cursors. A cursor is signed, and valid only for the same caller and the same filters."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from typing import Annotated, Any, Final, Generic, TypeVar

from django.core import signing
from django.http import HttpRequest
from pydantic import BaseModel, ConfigDict, Field

from timers.api.authentication import caller
from timers.api.problems import Problem
from timers.api.slashes import path_names
from timers.exceptions import FieldProblem
from timers.models.group import group_ids

MAX_PAGE: Final = 200
_SIGNER: Final = signing.Signer(salt="timers.api.paging", sep=".")

Item = TypeVar("Item", bound=BaseModel)


class PageQuery(BaseModel):
    """Query parameters of every list."""

    model_config = ConfigDict(extra="forbid")

    limit: Annotated[int, Field(ge=1, le=MAX_PAGE, description="The most items of a page.")] = 50
    cursor: Annotated[
        str | None, Field(max_length=2000, description="`next` of the page before; the filters must be the same.")
    ] = None


class Page(BaseModel, Generic[Item]):
    """One page of a list."""

    items: list[Item]
    next: str | None = Field(description="The cursor of the next page; null when this is the last.")


def position(request: HttpRequest, query: PageQuery) -> list[Any] | None:
    """Return where the page begins: the value passed to cursor_after; None for the first page. Raises Problem."""
    if query.cursor is None:
        return None
    text, _, signature = query.cursor.rpartition(".")
    if not signature or not _is_signed(text + _bound_to(request), signature):
        raise Problem(
            "bad_cursor",
            "This cursor is not for this list, these filters and this key; begin again without one.",
            [FieldProblem("cursor", "is not valid here")],
        )
    try:
        found = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (binascii.Error, ValueError):
        found = None
    return found if isinstance(found, list) else None


def cursor_after(request: HttpRequest, last: Sequence[Any]) -> str:
    """Return the cursor of the page that follows the item with this sort key (JSON values)."""
    text = base64.urlsafe_b64encode(json.dumps(list(last)).encode()).decode().rstrip("=")
    return f"{text}.{_SIGNER.signature(text + _bound_to(request))}"


def _is_signed(value: str, signature: str) -> bool:
    try:
        _SIGNER.unsign(f"{value}.{signature}")
    except signing.BadSignature:
        return False
    return True


def _bound_to(request: HttpRequest) -> str:
    filters = sorted((name, values) for name, values in request.GET.lists() if name not in {"cursor", "limit"})
    return json.dumps([caller(request).identity, request.path, _group_id(request), filters])


def _group_id(request: HttpRequest) -> int | None:
    """Return the id of the listed group, so that a cursor is not valid for a later group of the same name."""
    name = path_names(request).get("group") or request.GET.get("group")
    found = group_ids([name]) if name and str(name).isprintable() else []
    return found[0] if found else None
