"""Trees: orders with their branches and parents, locked by their roots, and the consequences of events.

Events are handled one after the other until none is left; then all changes are written. So a step's end, the join that
it completes and the next step of the parent are one transaction, and each order always has a place.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final

from timers.domain.chains import Finish, Moves, NewBranch, NewSubOrder, Order, StepStates, Tallies, advance, events
from timers.domain.chains.order import AT_STOPPED, CANCELLED, CLAIMED, ENDED, FAILED, READY, SUSPENDED
from timers.domain.chains.results import BadResult, check_variables
from timers.domain.chains.steps import ActionStep
from timers.domain.execution_id import MAX_TRIES
from timers.domain.payload import encode
from timers.engine.fence import revoke
from timers.engine.group_clock import DATABASE_CLOCK, GroupClock
from timers.engine.orders import places, rows
from timers.engine.orders.definitions import (
    ChainKey,
    ChainNow,
    Definition,
    definition_of,
    lock_states,
    newest_versions,
    read_chains,
)
from timers.engine.orders.rows import OrderRow
from timers.engine.orders.tallies import Rounds, counted_as
from timers.engine.wakeup import wake_if_soon
from timers.schedules.instant import from_microseconds, to_microseconds

MakeEvent = Callable[[], events.Event]
REVOKED: Final = "the order went elsewhere"
MOST_ATTEMPTS: Final = f"had {MAX_TRIES:,} attempts, the most of one order. Cancel it and start another one."


class Trees:
    """The trees of some locked roots.

    Args:
        roots: The locked rows.
        now_us: The instant of the database clock, in microseconds since 1970 UTC.
        clocks: By group id: the clocks of groups that have their own.
    """

    def __init__(
        self, roots: Mapping[str, OrderRow], now_us: int, clocks: Mapping[int, GroupClock] | None = None
    ) -> None:
        self._rows = dict(roots)
        self._now = from_microseconds(now_us)
        self._clocks = clocks or {}
        self._states: dict[int, ChainNow] = {}
        self._locked: set[int] = set()
        self._rounds = Rounds()
        self._queue: deque[tuple[str, MakeEvent]] = deque()
        self._changed: dict[str, OrderRow] = {}
        self._placed: set[str] = set()
        """Orders whose waiting rows are locked here."""
        self._running: set[str] = set()
        """Orders whose steps are claimed, by the sender of the events or by others; the rows do not show it."""
        self._touched: set[str] = set()
        self._revoked: dict[int, set[str]] = {}
        self.set_by: dict[str, dict[str, list[str]]] = {}
        """By order: the names of the variables that its events have `set`, and of those that they have `changed`."""
        self.ended: list[OrderRow] = []
        """Orders that have ended, or failed and are parked."""

    def load(self, ids: Iterable[str]) -> None:
        """Read orders of the trees, and the parents from which their branches inherit."""
        missing = {id_ for id_ in ids if id_ not in self._rows}
        while missing:
            self._rows |= rows.read_orders(missing)
            parents = {self._rows[id_].order.parent for id_ in missing if id_ in self._rows}
            missing = {parent for parent in parents if parent is not None and parent not in self._rows}

    def hold(self, id_: str, attempts: int, *, is_running: bool) -> None:
        """Record that an order is claimed by the caller.

        Args:
            id_: The order.
            attempts: Number of its rows in the ledger, including the current attempt.
            is_running: Whether its step was run, and not only inspected.
        """
        self._touched.add(id_)
        self._rows[id_].attempts = attempts
        if is_running:
            self._running.add(id_)

    def add(self, row: OrderRow) -> None:
        """Add the root of a new tree and start it; its execution is claimed by the caller."""
        row.is_new = True
        self._rows[row.id] = self._changed[row.id] = row
        self._touched.add(row.id)
        self.send(row.id, events.Started())

    def tallies(self, id_: str) -> Tallies | None:
        """Return the counts of the branches that an order waits for; None if it waits for none."""
        row = self._rows[id_]
        return None if row.order.round is None else self._rounds.tallies(row, row.order.round)

    def has(self, id_: str) -> bool:
        """Return whether a requested order was loaded: those of a deleted group do not exist."""
        return id_ in self._rows

    def row(self, id_: str) -> OrderRow:
        """Return an order of the trees."""
        return self._rows[id_]

    def is_waiting(self, id_: str) -> bool:
        """Return whether an order has changed, and waits for its claim: it gets a row in `waiting`."""
        row = self._changed.get(id_)
        return row is not None and places.may_wait(row.order) and id_ not in self._running

    def newest(self, row: OrderRow) -> int | None:
        """Return the id of the newest version of an order's chain, as it was when the event was handled."""
        return self._states.get(row.chain_id, ChainNow()).newest

    def ended_in_vain(self, row: OrderRow) -> list[OrderRow]:
        """Return the branches, or the sub-chain, that ended without success and restart when the order resumes."""
        round_ = row.order.round
        children = [] if round_ is None else self._children(row, round_)
        return [each for each in children if each.is_reset or each.order.outcome in (FAILED, CANCELLED)]

    def give_version(self, row: OrderRow, version_id: int) -> None:
        """Switch an order to another version of its chain."""
        self._touch([row.id])
        row.version_id = version_id
        self._changed[row.id] = row

    def send(self, id_: str, event: events.Event) -> None:
        """Handle an event and its consequences."""
        self._queue.append((id_, lambda: event))
        self.settle()

    def settle(self) -> None:
        """Handle all queued events."""
        while self._queue:
            id_, make = self._queue.popleft()
            self._handle(self._rows[id_], make())

    def write(self, node: str | None = None, worker: int | None = None) -> None:
        """Write all changes. `node`, `worker`: who ended the ended orders; None: not a worker."""
        changed = list(self._changed.values())
        rows.write_orders(changed, self._now)
        ids = [row.id for row in changed]
        places.delete_places(self._placed.intersection(ids))
        waiting = [row for row in changed if self.is_waiting(row.id)]
        places.insert_places([self._place(row) for row in waiting], self._now)
        ended = [row for row in changed if row.order.state == ENDED]
        places.write_finals(ended, [self._us(row) for row in ended], node, worker)
        for group_id, claimed in self._revoked.items():
            # A transaction that ends steps already has claims locked, and another one like it may wait for these. A
            # step that is not revoked for that reason runs in vain: its order has moved on.
            revoke(claimed, group_id, REVOKED, skip_locked=node is not None or worker is not None)
        self._wake(waiting)

    # Handling of events.

    def _handle(self, row: OrderRow, event: events.Event) -> None:
        self._touch([row.id])
        definition, states = definition_of(row.version_id), self._states_of(row.chain_id)
        order = self._with_inherited(row.order)
        if row.id in self._running:
            order = order.but(state=CLAIMED)
        before = counted_as(row)
        moves = advance(definition.chain, order, event, self._moment(row), states)
        if moves.order.state == AT_STOPPED and self._lock_states(row.chain_id):
            moves = advance(definition.chain, order, event, self._moment(row), self._states_of(row.chain_id))
        if moves.set_variables:
            self._note_set(row, moves)
        if moves.order is not order:
            if row.attempts >= MAX_TRIES and moves.order.state == READY:
                moves = replace(moves, order=moves.order.but(state=SUSPENDED, reason=MOST_ATTEMPTS))
            self._keep(row, moves.order)
            self._rounds.note(row, before)
        self._apply(row, order, moves)

    def _note_set(self, row: OrderRow, moves: Moves) -> None:
        noted = self.set_by.setdefault(row.id, {})
        known = {name for names in noted.values() for name in names}
        for name in moves.set_variables:
            if name not in known:
                noted.setdefault("changed" if name in row.order.variables else "set", []).append(name)

    def _keep(self, row: OrderRow, order: Order) -> None:
        if order.state == CLAIMED:
            order = order.but(state=READY)
        else:
            self._running.discard(row.id)
        row.order = order.but(inherited={}) if order.inherited else order
        self._changed[row.id] = row

    def _apply(self, row: OrderRow, before: Order, moves: Moves) -> None:
        if moves.total is not None:
            row.total = moves.total
        if moves.revoke:
            self._revoked.setdefault(row.group_id, set()).add(row.id)
        if (moves.cancel_branches or moves.cancel_sub_order) and before.round is not None:
            self._cancel_children(row, before.round)
        round_ = moves.order.round
        if moves.reset_branches and round_ is not None:
            for child in self._children(row, round_):
                if child.order.outcome in (FAILED, CANCELLED) and not child.is_reset:
                    self._set_reset(child, is_reset=True)
        # Create all before the first one starts, which may end at once and count the others.
        new = self._restart(row, round_, moves) if (moves.restart or moves.restart_sub_order) and round_ else []
        new += self._spawn(row, moves.spawn)
        self._queue.extend((child.id, self._started(child)) for child in new)
        if moves.sub_order is not None:
            self._begin_sub_order(row, moves.sub_order)
        if moves.collect:
            assert round_ is not None
            self._queue.appendleft((row.id, lambda: self._collected(row, round_)))
        if moves.finish is not None:
            self._finish(row, moves.finish)
        elif moves.park:
            self.ended.append(row)

    def _finish(self, row: OrderRow, finish: Finish) -> None:
        row.result = encode(dict(finish.result), "result") if finish.result else None
        self.ended.append(row)
        parent, round_ = row.order.parent, row.parent_round
        if parent is None or round_ is None:
            return
        self.load([parent])
        above = self._rows[parent]
        if row.order.branch is not None:
            self._queue.append((parent, lambda: events.BranchEnded(round_, self._rounds.tallies(above, round_))))
        else:
            ended = events.SubChainEnded(round_, finish.outcome, dict(finish.result), finish.reason)
            self._queue.append((parent, lambda: ended))

    def _collected(self, row: OrderRow, round_: int) -> events.Event:
        results = self._rounds.results(row.id, round_)
        return events.BranchesCollected(round_, self._rounds.tallies(row, round_), results)

    # Branches and sub-chains.

    def _spawn(self, row: OrderRow, branches: Collection[NewBranch]) -> list[OrderRow]:
        ids = places.new_ids(row.timer_id, self._us(row), len(branches)) if branches else []
        key = ChainKey(row.chain_id, row.version_id)
        return [
            self._new_child(
                row,
                Order(id_, new.step, variables=dict(new.variables), parent=row.id, branch=new.branch),
                key,
                new.round,
            )
            for id_, new in zip(ids, branches, strict=True)
        ]

    def _begin_sub_order(self, row: OrderRow, new: NewSubOrder) -> None:
        key = newest_versions([(row.group_id, new.chain)], keep=True).get((row.group_id, new.chain))
        try:
            if key is None:
                raise BadResult(f'the group has no chain "{new.chain}"')
            chain = definition_of(key.version_id).chain
            check_variables(variables := {**chain.variables, **new.variables})
        except BadResult as error:
            unbegun = events.SubChainEnded(new.round, FAILED, {}, str(error), has_begun=False)
            self._queue.append((row.id, lambda: unbegun))
            return
        (id_,) = places.new_ids(row.timer_id, self._us(row), 1)
        child = self._new_child(row, Order(id_, chain.start, variables=variables, parent=row.id), key, new.round)
        self._queue.append((child.id, events.Started))

    def _new_child(self, parent: OrderRow, order: Order, key: ChainKey, round_: int) -> OrderRow:
        child = OrderRow(
            order, parent.root, round_, parent.group_id, key.chain_id, key.version_id, parent.timer_id, parent.name,
            total=None, is_reset=False, attempts=0, priority=parent.priority,
            subscription=parent.subscription, is_new=True,
        )  # fmt: skip
        self._take_in(child)
        return child

    def _take_in(self, child: OrderRow) -> None:
        self._rows[child.id] = self._changed[child.id] = child
        self._touched.add(child.id)
        self._rounds.note(child, None)

    def _started(self, child: OrderRow) -> MakeEvent:
        inner = child.order.round
        return lambda: events.Started(None if inner is None else self._rounds.tallies(child, inner))

    def _children(self, row: OrderRow, round_: int, *, only_living: bool = False) -> list[OrderRow]:
        stored = rows.read_children(row.id, round_, only_living=only_living)
        for id_, child in stored.items():
            self._rows.setdefault(id_, child)
        new = [
            each for id_, each in self._changed.items()
            if id_ not in stored and each.order.parent == row.id and each.parent_round == round_
        ]  # fmt: skip
        return [self._rows[id_] for id_ in stored] + new

    def _cancel_children(self, row: OrderRow, round_: int) -> None:
        living = [child for child in self._children(row, round_, only_living=True) if child.order.state != ENDED]
        self._touch([child.id for child in living])
        for child in living:
            self._queue.append((child.id, lambda: events.Cancelled("its parent goes on")))

    def _restart(self, row: OrderRow, round_: int, moves: Moves) -> list[OrderRow]:
        """Restart branches that did not succeed, or the sub-chain, each as a new order that replaces it.

        An execution has one final outcome, and theirs have been recorded.
        """
        children = self._children(row, round_)
        is_sub = moves.restart_sub_order
        again = [each for each in children if (each.order.state == ENDED if is_sub else each.is_reset)]
        again = again[: 1 if is_sub else moves.restart]
        ids = places.new_ids(row.timer_id, self._us(row), len(again)) if again else []
        return [self._in_place_of(child, id_, row.priority) for child, id_ in zip(again, ids, strict=True)]

    def _in_place_of(self, child: OrderRow, id_: str, priority: int) -> OrderRow:
        self._rounds.note(child, counted_as(child))
        order = replace(child.order.begin_again(), id=id_)
        new = replace(child, order=order, is_reset=False, attempts=0, result=None, priority=priority, is_new=True)
        inner = child.order.round
        for grandchild in self._children(child, inner) if inner is not None else ():
            grandchild.order = replace(grandchild.order, parent=id_)
            self._changed[grandchild.id] = grandchild
            self._rounds.note(grandchild, None)
        child.parent_round = None
        self._changed[child.id] = child
        self._take_in(new)
        return new

    def _set_reset(self, child: OrderRow, *, is_reset: bool) -> None:
        before = counted_as(child)
        child.is_reset = is_reset
        self._changed[child.id] = child
        self._rounds.note(child, before)

    # Reading.

    def _touch(self, ids: Collection[str]) -> None:
        """Find out, once for each order, whether it waits or is claimed."""
        new = [id_ for id_ in ids if id_ not in self._touched]
        if not new:
            return
        self._touched.update(new)
        waiting = [id_ for id_ in new if places.may_wait(self._rows[id_].order)]
        placed = places.lock_places(waiting)
        self._placed.update(placed)
        claimed = set(waiting).difference(placed)
        self._running |= {id_ for id_ in claimed if self._runs_a_step(self._rows[id_])}
        # No attempt number is used twice: the ledger would keep only the first row.
        had = placed | places.attempts_in_claims([self._rows[id_] for id_ in claimed])
        for id_, attempts in had.items():
            self._rows[id_].attempts = max(self._rows[id_].attempts, attempts)

    def _runs_a_step(self, row: OrderRow) -> bool:
        return row.order.state != FAILED and row.order.step in self._definition(row).actions

    def _with_inherited(self, order: Order) -> Order:
        if order.branch is None:
            return order
        self.load([order.parent])
        return replace(order, inherited=self._with_inherited(self._rows[order.parent].order).seen)

    def _definition(self, row: OrderRow) -> Definition:
        return definition_of(row.version_id)

    def _place(self, row: OrderRow) -> places.Place:
        definition = self._definition(row)
        step = definition.chain.steps[row.order.step]
        roles = step.required_roles if isinstance(step, ActionStep) else ()
        return places.Place(row, definition.handler(step.name), roles, self._us(row))

    def _states_of(self, chain_id: int) -> StepStates:
        if chain_id not in self._states:
            self._states |= read_chains([chain_id])
        return self._states.get(chain_id, ChainNow()).states

    def _lock_states(self, chain_id: int) -> bool:
        """Lock the states of steps until the end, and read them again; return whether they had changed.

        Otherwise an order could stop at a step just after the orders waiting there were released.
        """
        if chain_id in self._locked:
            return False
        self._locked.add(chain_id)
        before = self._states.pop(chain_id, ChainNow()).states
        lock_states(chain_id)
        return self._states_of(chain_id) != before

    def _moment(self, row: OrderRow) -> datetime:
        return self._clocks.get(row.group_id, DATABASE_CLOCK).moment(self._now)

    def _us(self, row: OrderRow) -> int:
        return to_microseconds(self._moment(row))

    def _wake(self, waiting: Iterable[OrderRow]) -> None:
        instants = [row.order.available_at or self._now for row in waiting if row.order.state != FAILED]
        wake_if_soon(instants, self._now)
