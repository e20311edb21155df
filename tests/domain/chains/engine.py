"""An engine in memory: it writes the moves of `advance` as rows of a database would hold them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from timers.domain.chains import Chain, Moves, Order, StepStates, Tallies, advance, events, parse_chain
from timers.domain.chains.order import ALL_ACTIVE, CANCELLED, CLAIMED, ENDED, FAILED, RUNNABLE, SUCCEEDED

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)


def action(following: str, **fields: Any) -> dict[str, Any]:
    """A step that runs an action."""
    return {"kind": "action", "action": {"handler": "h"}, "next": following, **fields}


END = {"kind": "end"}


@dataclass
class Row:
    """An order as it is kept."""

    chain: str
    order: Order
    round: int | None = None
    """The round of its parent in which it was spawned."""
    is_reset: bool = False
    moves: Moves | None = None
    """The last ones."""
    result: Mapping[str, Any] = field(default_factory=dict)
    """What it handed to its parent."""


class Engine:
    """Orders of some chains and the time."""

    def __init__(self, **chains: Mapping[str, Any] | Chain) -> None:
        self.chains = {
            name: chain if isinstance(chain, Chain) else parse_chain(chain) for name, chain in chains.items()
        }
        self.rows: dict[int, Row] = {}
        self.states: StepStates = ALL_ACTIVE
        self.now = NOON
        self.collected: list[tuple[int, int]] = []
        """The order and the round of each join that went on."""
        self.totals: dict[tuple[int, int], int] = {}
        self.most_running: dict[tuple[int, int], int] = {}

    # What a person or a worker does.

    def start(self, chain: str = "main", **variables: Any) -> int:
        """Add an order of a chain and start it."""
        own = {**self.chains[chain].variables, **variables}
        order_id = self._insert(chain, Order(0, self.chains[chain].start, variables=own), None)
        self.send(order_id, events.Started())
        return order_id

    def send(self, order_id: int, event: events.Event) -> Moves:
        """Hand an event to an order and write what follows."""
        row = self.rows[order_id]
        moves = advance(self.chains[row.chain], self.order(order_id), event, self.now, self.states)
        row.moves = moves
        self._write(order_id, moves)
        return moves

    def claim(self, order_id: int) -> Order:
        """A worker takes the order."""
        row = self.rows[order_id]
        assert row.order.state in RUNNABLE, row.order
        row.order = replace(row.order, state=CLAIMED)
        return row.order

    def run(self, order_id: int, result: Any = None, *, error: str = "", **failure: Any) -> Order:
        """A worker takes the order, and its step succeeds, or fails with an error."""
        self.claim(order_id)
        self.send(order_id, events.StepFailed(error, **failure) if error else events.StepSucceeded(result))
        return self.order(order_id)

    def pass_time(self, order_id: int) -> Order:
        """Go to the instant that an order waits for."""
        at = self.rows[order_id].order.available_at
        assert at is not None
        self.now = max(self.now, at)
        self.send(order_id, events.TimeOver())
        return self.order(order_id)

    # What is there.

    def order(self, order_id: int) -> Order:
        """The order, with what it inherits of its parent."""
        row = self.rows[order_id]
        if row.order.branch is None:
            return row.order
        return replace(row.order, inherited=self.order(row.order.parent).seen)

    def place(self, order_id: int) -> tuple[str, str]:
        """The step and the state of an order."""
        return self.rows[order_id].order.step, self.rows[order_id].order.state

    def children(self, parent: int) -> list[int]:
        """The branches or sub-chain of the present round."""
        round_ = self.rows[parent].order.round
        return [key for key, row in self.rows.items() if row.order.parent == parent and row.round == round_]

    def branch(self, parent: int, which: str | int) -> int:
        """A branch by its name or index."""
        (found,) = (
            key for key in self.children(parent)
            if (branch := self.rows[key].order.branch) is not None and which in (branch.name, branch.index)
        )  # fmt: skip
        return found

    def tallies(self, parent: int, round_: int) -> Tallies:
        """The branches of a round, counted."""
        rows = [row for row in self.rows.values() if row.order.parent == parent and row.round == round_]
        counted = [row.order.outcome for row in rows if not row.is_reset]
        return Tallies(
            self.totals.get((parent, round_), 0), len(counted), counted.count(SUCCEEDED), counted.count(FAILED),
            counted.count(CANCELLED), len(rows) - len(counted),
        )  # fmt: skip

    # How it writes.

    def _insert(self, chain: str, order: Order, round_: int | None) -> int:
        key = len(self.rows) + 1
        self.rows[key] = Row(chain, replace(order, id=key), round_)
        return key

    def _write(self, key: int, moves: Moves) -> None:
        row, before = self.rows[key], self.rows[key].order
        row.order = replace(moves.order, inherited={})
        if moves.finish is not None:
            row.result = moves.finish.result
        if moves.total is not None:
            self.totals[key, moves.order.turn] = moves.total
        if moves.cancel_branches or moves.cancel_sub_order:
            self._cancel_children(key, before.round)
        round_ = moves.order.round
        if moves.reset_branches:
            for child in self._of_round(key, round_):
                child.is_reset |= child.order.outcome in (FAILED, CANCELLED)
        again = [
            child for child in self._of_round(key, round_)
            if child.is_reset or (moves.restart_sub_order and child.order.state == ENDED)
        ]  # fmt: skip
        again = again[: 1 if moves.restart_sub_order else moves.restart]
        for child in again:
            child.is_reset = False
            child.order = child.order.begin_again()
        # All rows are there before the first branch begins, which may end at once and count the others.
        new = [
            self._insert(
                row.chain, Order(0, each.step, variables=each.variables, parent=key, branch=each.branch), each.round
            )
            for each in moves.spawn
        ]
        for child in again:
            inner = child.order.round
            tallies = None if inner is None else self.tallies(child.order.id, inner)
            self.send(child.order.id, events.Started(tallies))
        for each in new:
            self.send(each, events.Started())
        if moves.sub_order is not None:
            sub = moves.sub_order
            inner_chain = self.chains[sub.chain]
            own = {**inner_chain.variables, **sub.variables}
            order = Order(0, inner_chain.start, variables=own, parent=key)
            self.send(self._insert(sub.chain, order, sub.round), events.Started())
        if moves.collect:
            self._collect(key)
        if moves.finish is not None and before.parent is not None:
            self._report_end(key, moves)
        self._note_running(key)

    def _of_round(self, parent: int, round_: int | None) -> list[Row]:
        return [row for row in self.rows.values() if row.order.parent == parent and row.round == round_]

    def _cancel_children(self, parent: int, round_: int | None) -> None:
        for child in self._of_round(parent, round_):
            if child.order.state != ENDED:
                self.send(child.order.id, events.Cancelled("its parent goes on"))

    def _collect(self, key: int) -> None:
        order = self.rows[key].order
        assert order.round is not None
        results = {}
        for child in self._of_round(key, order.round):
            branch = child.order.branch
            if child.order.outcome == SUCCEEDED and branch is not None:
                results[branch.name if branch.index is None else branch.index] = child.result
        self.send(key, events.BranchesCollected(order.round, self.tallies(key, order.round), results))
        assert self.rows[key].order.turn != order.turn
        self.collected.append((key, order.round))

    def _report_end(self, key: int, moves: Moves) -> None:
        row = self.rows[key]
        parent, round_ = row.order.parent, row.round
        assert round_ is not None
        assert moves.finish is not None
        if row.order.branch is not None:
            self.send(parent, events.BranchEnded(round_, self.tallies(parent, round_)))
        else:
            result = moves.finish.result
            self.send(parent, events.SubChainEnded(round_, moves.finish.outcome, result, moves.finish.reason))

    def _note_running(self, key: int) -> None:
        parent, round_ = (self.rows[key].order.parent, self.rows[key].round)
        if parent is not None and round_ is not None:
            running = self.tallies(parent, round_).running
            self.most_running[parent, round_] = max(running, self.most_running.get((parent, round_), 0))


def later(seconds: float) -> datetime:
    """An instant after noon."""
    return NOON + timedelta(seconds=seconds)
