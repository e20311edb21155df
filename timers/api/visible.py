"""What is found by an id and belongs to a group: it is there for those who see the group, and for nobody else."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpRequest

from timers.api.authentication import caller
from timers.api.problems import not_found
from timers.insights.execution_group import group_of


def visible_execution(request: HttpRequest, execution: str) -> UUID:
    """The id of an execution that the caller may see; raises the 404 of what is not there."""
    group = group_of(execution)
    if group is None or not caller(request).sees(group):
        raise not_found()
    return UUID(execution)
