"""Lists of big tables: counts are bounded, and pages beyond the bound are not offered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import BadRequest, ValidationError
from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property

from timers.insights.counts import Count, estimated_rows

if TYPE_CHECKING:  # these are generic for the type checker only
    AnyPaginator = Paginator[Any]
    AnyModelAdmin = admin.ModelAdmin[Any]
else:
    AnyPaginator, AnyModelAdmin = Paginator, admin.ModelAdmin

COUNTED: Final = 5_000
"""Maximum number of rows that a list counts, and so of reachable rows. Search and filters find rows beyond."""


class BoundedPaginator(AnyPaginator):
    """Counts at most COUNTED rows, whatever the size of the table."""

    @cached_property
    def count(self) -> int:
        return min(self._found, COUNTED)

    @property
    def is_bounded(self) -> bool:
        """Whether there are more rows than were counted."""
        return self._found > COUNTED

    @cached_property
    def _found(self) -> int:
        rows = self.object_list
        assert isinstance(rows, QuerySet)
        return rows.order_by()[: COUNTED + 1].count()


class BoundedChangeList(ChangeList):
    """Shows "≈ 1.2 M" or "5,000+" if the number is not exact."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        if not (self.has_active_filters or self.query):
            self.full_result_count = self.result_count  # nothing is filtered: there is no "show all" to offer

    @property
    def count_words(self) -> str:
        """Number of rows as text, as far as known."""
        paginator = self.paginator
        if not isinstance(paginator, BoundedPaginator) or not paginator.is_bounded:
            return f"{self.result_count:,}"
        if self.has_active_filters or self.query:
            return str(Count(COUNTED, capped=True))
        return str(max(Count(COUNTED, capped=True), estimated_rows(self.opts.db_table), key=lambda count: count.value))


class BoundedAdmin(AnyModelAdmin):
    """A list of a possibly big table, newest first, without adding or deleting."""

    paginator = BoundedPaginator
    show_full_result_count = False
    list_per_page = 50
    list_max_show_all = 0
    ordering = ("-id",)
    sortable_by = ()
    show_facets = admin.ShowFacets.NEVER

    class Media:
        css = {"all": ("timers/admin.css",)}

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return BoundedChangeList

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def response_action(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Return the response of an action; 400 for invalid row ids, which no page sends."""
        try:
            for key in request.POST.getlist(ACTION_CHECKBOX_NAME):
                self.opts.pk.to_python(key)
        except ValidationError as error:
            raise BadRequest("what is chosen is no row") from error
        return super().response_action(request, *args, **kwargs)

    @staticmethod
    def is_list(request: HttpRequest) -> bool:
        """Return whether the request is for a list, which needs no large columns."""
        match = request.resolver_match
        return match is not None and (match.url_name or "").endswith("_changelist")


class ReadOnlyAdmin(BoundedAdmin):
    """Records that only the engine writes: users with the view permission can read them, nobody can change them."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False
