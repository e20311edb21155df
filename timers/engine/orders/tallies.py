"""Tallies: the branches of an order, counted from their rows and the changes of the current transaction."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

from timers.database import connection
from timers.domain.chains import Tallies
from timers.domain.chains.order import CANCELLED, FAILED, SUCCEEDED
from timers.domain.payload import decode
from timers.engine.orders.rows import OrderRow

Round = tuple[str, int]
"""An order, and the turn in which it began its branches."""
RESET: Final = "reset"
RUNNING: Final = "running"

_COUNT: Final = """
SELECT CASE WHEN is_reset THEN 'reset' ELSE COALESCE(outcome, 'running') END, count(*)
FROM timers_chain_order WHERE parent = %s AND parent_round = %s GROUP BY 1
"""
_RESULTS: Final = """
SELECT id::text, branch_name, branch_index, result::text FROM timers_chain_order
WHERE parent = %s AND parent_round = %s AND outcome = 'succeeded' AND NOT is_reset
"""


def counted_as(row: OrderRow) -> str:
    """Return the name under which a branch is counted."""
    return RESET if row.is_reset else row.order.outcome or RUNNING


class Rounds:
    """Counts of rounds, including the changes of this transaction."""

    def __init__(self) -> None:
        self._stored: dict[Round, Counter[str]] = {}
        self._changed: dict[Round, dict[str, tuple[str | None, OrderRow]]] = {}
        """By round and branch: what the branch counts as in the database (None: it is new), and the branch."""

    def note(self, row: OrderRow, before: str | None) -> None:
        """Record a branch that changes; `before`: what it counted as until then, None for a new one."""
        if row.order.parent is not None and row.parent_round is not None:
            of_round = self._changed.setdefault((row.order.parent, row.parent_round), {})
            of_round.setdefault(row.id, (before, row))

    def tallies(self, parent: OrderRow, round_: int) -> Tallies:
        """Return the current counts of the branches of a round."""
        key = parent.id, round_
        if key not in self._stored:
            with connection.cursor() as cursor:
                cursor.execute(_COUNT, key)
                self._stored[key] = Counter(dict(cursor.fetchall()))
        counts = Counter(self._stored[key])
        for before, row in self._changed.get(key, {}).values():
            if before is not None:
                counts[before] -= 1
            if _is_of(row, key):
                counts[counted_as(row)] += 1
        ended = {outcome: counts[outcome] for outcome in (SUCCEEDED, FAILED, CANCELLED)}
        return Tallies(
            total=parent.total or 0,
            started=counts[RUNNING] + sum(ended.values()),
            succeeded=ended[SUCCEEDED],
            failed=ended[FAILED],
            cancelled=ended[CANCELLED],
            reset=counts[RESET],
        )

    def results(self, parent: str, round_: int) -> dict[Any, Any]:
        """Return the results of succeeded branches for their parent, by name or index."""
        with connection.cursor() as cursor:
            cursor.execute(_RESULTS, (parent, round_))
            found = {
                id_: (index if name is None else name, decode(result) if result else {})
                for id_, name, index, result in cursor.fetchall()
            }
        for id_, (_, row) in self._changed.get((parent, round_), {}).items():
            branch = row.order.branch
            if counted_as(row) != SUCCEEDED or not _is_of(row, (parent, round_)):
                found.pop(id_, None)
            elif branch is not None:
                key = branch.index if branch.name is None else branch.name
                found[id_] = key, decode(row.result) if row.result else {}
        return dict(found.values())


def _is_of(row: OrderRow, key: Round) -> bool:
    """Whether a branch still belongs to the round: another may have replaced it."""
    return (row.order.parent, row.parent_round) == key
