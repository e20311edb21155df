"""The list of the ledger: paged by key, so page 10,000 costs as much as page 1, and nothing is counted."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest

from timers.insights.counts import estimated_rows
from timers.insights.ledger_order import Rest, newest_first, place_below, rest_after, unseen_final

WINDOW: Final = 100_000
"""Rows that one page of a filtered list reads; the next page continues below them."""


class KeysetChangeList(ChangeList):
    """Newest first; `before` is the last id of the previous page. See insights/ledger_order.py.

    A filter that no index serves would scan the whole history for a rare value, so it reads WINDOW rows per page.
    """

    before: UUID | None
    newest_link: str | None
    older_link: str | None
    window_words: str
    count_words: str

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Any]:
        self.params.pop("before", None)
        given = self.filter_params.pop("before", [""])[-1]
        try:
            self.before = UUID(given) if given else None
        except ValueError as error:
            raise IncorrectLookupParameters from error
        rows: QuerySet[Any] = super().get_queryset(request, exclude_parameters)
        return rows

    def get_results(self, request: HttpRequest) -> None:
        rest, floor = rest_after(self.before), self._floor()
        rows = _rest(self.queryset, rest)
        if floor is not None:
            rows = rows.filter(pk__gte=floor)
        found = list(rows[: self.list_per_page + 1])
        page = found[: self.list_per_page]
        last = page[-1].pk if len(found) > self.list_per_page else floor
        final = unseen_final([row.pk for row in page], last, rest)
        if final is not None:
            page += list(self.queryset.filter(pk=final))
        is_cut = len(page) > self.list_per_page or len(found) > self.list_per_page
        self.result_list = newest_first(page, lambda row: row.pk)[: self.list_per_page]
        self.result_count = self.full_result_count = len(self.result_list)
        self.show_full_result_count = self.show_admin_actions = False
        self.can_show_all = self.multi_page = False
        self.paginator = None
        end = self.result_list[-1].pk if is_cut else None if floor is None else place_below(floor)
        self.older_link = None if end is None else self.get_query_string({"before": end})
        self.newest_link = None if self.before is None else self.get_query_string(remove=["before"])
        self.window_words = "" if floor is None else f"looked through {WINDOW:,} rows of history"
        estimate = estimated_rows(self.opts.db_table)
        self.count_words = f"{self.result_count}" + (f" of {estimate}" if estimate.value > self.result_count else "")

    def _floor(self) -> UUID | None:
        """Return the lowest id that a filtered page reads; None if it need not be bounded."""
        if self.query or not self.has_active_filters:
            return None
        rows = _rest(self.root_queryset.order_by("-pk"), rest_after(self.before))
        floor: UUID | None = rows.values_list("pk", flat=True)[WINDOW : WINDOW + 1].first()
        return floor


def _rest(rows: QuerySet[Any], rest: Rest) -> QuerySet[Any]:
    """Return the rows that a next page may have."""
    if rest.below is not None:
        rows = rows.filter(pk__lt=rest.below)
    return rows if rest.seen is None else rows.exclude(pk=rest.seen)
