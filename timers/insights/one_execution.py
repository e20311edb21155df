"""One execution with all details: state, payload, all attempts."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django.db.models import TextField
from django.db.models.functions import Cast

from timers.database import connection
from timers.domain.execution_id import MAX_TRIES
from timers.domain.payload import readable
from timers.insights.execution_view import ExecutionView, claimed_views, ledger_views, resting_views, waiting_views
from timers.models import Attempt, ChainOrder, Claim, Timer, Waiting

_LOOKS: Final = 3


@dataclass(frozen=True, slots=True)
class ExecutionDetail:
    """An execution with all details."""

    execution: ExecutionView
    payload: Any
    """Its payload; for an ended execution the timer's present payload, because the ledger keeps none. An unreadable one
    is a domain.payload.Unreadable."""
    payload_of: str
    """Owner of the payload: "execution", "timer", or "" if the timer of an ended execution is deleted."""
    attempts: list[Attempt]
    """Its rows in the ledger in the order of the attempts, the final one last."""

    @property
    def result(self) -> Any:
        """Return value of the successful attempt; None before it."""
        return self.attempts[-1].result if self.attempts and self.execution.state == "succeeded" else None


def one(execution: UUID, groups: Collection[str] | None = None) -> ExecutionDetail | None:
    """Return the execution; None if there is none, or its history is deleted.

    `groups`: names of the groups that the caller may see; None: all.
    """
    if execution.int & MAX_TRIES:
        return None
    view = _view(execution)
    if view is None or (groups is not None and view.group not in groups):
        return None
    rows = Attempt.objects.filter(id__gte=execution, id__lte=UUID(int=execution.int | MAX_TRIES))
    attempts = sorted(rows, key=lambda row: (row.pk == execution, row.pk.int))
    payload, whose = _payload(view)
    return ExecutionDetail(view, payload, whose, attempts)


# One statement, so one snapshot: an execution that moves from one place to another is seen in one of them.
_PLACE: Final = """
SELECT EXISTS (SELECT 1 FROM timers_attempt WHERE id = %(id)s), EXISTS (SELECT 1 FROM timers_waiting WHERE id = %(id)s),
       EXISTS (SELECT 1 FROM timers_claim WHERE executions @> ARRAY[%(id)s::uuid]),
       EXISTS (SELECT 1 FROM timers_chain_order WHERE id = %(id)s AND ended_at IS NULL)
"""


def _view(execution: UUID) -> ExecutionView | None:
    for _ in range(_LOOKS):  # it may have moved between two statements
        with connection.cursor() as cursor:
            cursor.execute(_PLACE, {"id": execution})
            has_ended, waits, is_claimed, rests = cursor.fetchone()
        views: list[ExecutionView] = []
        if has_ended:
            views = ledger_views([execution])
        elif waits:
            views = waiting_views([execution])
        elif is_claimed:
            views = claimed_views("c.executions @> ARRAY[%(id)s::uuid] AND e.id = %(id)s", {"id": execution}, 1)
        elif rests:
            views = resting_views([execution])
        else:
            return None
        if views:
            return views[0]
    return None


def _payload(view: ExecutionView) -> tuple[Any, str]:
    own = _own_payload(view)
    if own is not None:
        return readable(own), "execution"
    row = Timer.objects.filter(id=view.timer_id).values_list(Cast("payload", TextField())).first()
    if row is None:
        return None, ""
    return None if row[0] is None else readable(row[0]), "timer"


def _own_payload(view: ExecutionView) -> str | None:
    """Return the JSON text of a payload that is not the timer's; for an order, its variables."""
    orders = ChainOrder.objects.filter(id=view.id)
    variables: str | None = orders.values_list(Cast("variables", TextField()), flat=True).first()
    if variables is not None:
        return variables
    if view.state in Waiting.State.values and view.finished_at is None:
        rows = Waiting.objects.filter(id=view.id)
        text: str | None = rows.values_list(Cast("payload", TextField()), flat=True).first()
        return text
    if view.state == "claimed":
        details = Claim.objects.filter(executions__contains=[view.id]).values_list("details", flat=True).first()
        detail = details.get(str(view.id)) if isinstance(details, dict) else None
        given = detail.get("payload") if isinstance(detail, dict) else None
        return given if given is None or isinstance(given, str) else json.dumps(given)
    return None
