"""Filters with fixed choices."""

from __future__ import annotations

from typing import Any, Final

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from timers.models import TimerGroup

_MOST: Final = 100


class GroupFilter(admin.SimpleListFilter):
    """Groups by name, the first hundred of them."""

    title = "group"
    parameter_name = "group"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(str(key), name) for key, name in TimerGroup.objects.order_by("name").values_list("id", "name")[:_MOST]]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value() or ""
        return (
            queryset.filter(group_id=int(value))
            if value.isascii() and value.isdigit() and len(value) < 19
            else queryset
        )
