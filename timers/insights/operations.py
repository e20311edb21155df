"""Queries of bulk operations on failed executions, with their progress."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from django.db.models import QuerySet

from timers.models import BulkOperation
from timers.models.group import group_ids


@dataclass(frozen=True, slots=True)
class OperationPage:
    """One page, newest first, and the `before_id` of the next; None if there is none."""

    operations: list[BulkOperation]
    next: int | None


def find(
    *, groups: Collection[str] | None = None, state: str | None = None, before_id: int | None = None, limit: int = 50
) -> OperationPage:
    """Return the operations, newest first. `groups`: names of the groups that the caller may see; None: all."""
    rows = _visible(groups)
    if state is not None:
        rows = rows.filter(state=state)
    if before_id is not None:
        rows = rows.filter(id__lt=before_id)
    found = list(rows.order_by("-id")[: limit + 1])
    return OperationPage(found[:limit], found[limit - 1].id if len(found) > limit else None)


def one(operation: int, groups: Collection[str] | None = None) -> BulkOperation | None:
    """Return the operation with that number; None if there is none that the caller may see."""
    return _visible(groups).filter(id=operation).first()


def _visible(groups: Collection[str] | None) -> QuerySet[BulkOperation]:
    """Filter operations that touch only the caller's groups; a former group of the same name is another group."""
    rows = BulkOperation.objects.all()
    return rows if groups is None else rows.filter(group_ids__contained_by=group_ids(groups))
