"""Bulk operations: what was asked to be done to many failed executions, and how far it has come."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from django.db.models import QuerySet

from timers.models import BulkOperation
from timers.models.group import group_ids


@dataclass(frozen=True, slots=True)
class OperationPage:
    """One page, newest first, and the `before_id` of the next; None when there is nothing more."""

    operations: list[BulkOperation]
    next: int | None


def find(
    *, groups: Collection[str] | None = None, state: str | None = None, before_id: int | None = None, limit: int = 50
) -> OperationPage:
    """The operations, newest first. `groups`: the names of the groups that the asker may see; None: all."""
    rows = _visible(groups)
    if state is not None:
        rows = rows.filter(state=state)
    if before_id is not None:
        rows = rows.filter(id__lt=before_id)
    found = list(rows.order_by("-id")[: limit + 1])
    return OperationPage(found[:limit], found[limit - 1].id if len(found) > limit else None)


def one(operation: int, groups: Collection[str] | None = None) -> BulkOperation | None:
    """The operation of that number; None when there is none that the asker may see."""
    return _visible(groups).filter(id=operation).first()


def _visible(groups: Collection[str] | None) -> QuerySet[BulkOperation]:
    """Those that touch no other group than the asker's; a former group of such a name is another one."""
    rows = BulkOperation.objects.all()
    return rows if groups is None else rows.filter(group_ids__contained_by=group_ids(groups))
