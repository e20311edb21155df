"""The end of steps: the consequences for their orders, in the transaction that records the outcomes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, field
from typing import Final

from timers.actions.chain import ChainAction
from timers.domain.chains import Order, events
from timers.domain.chains.order import AWAITING, FAILED, WAITING
from timers.domain.chains.results import BadResult, check_variables, kind_of
from timers.domain.execution_id import parse as parse_id
from timers.domain.payload import decode, encode
from timers.engine import ledger
from timers.engine.execution import AnyHolder, Execution
from timers.engine.orders.continuing import Continuing
from timers.engine.orders.definitions import ChainKey, definition_of, newest_versions
from timers.engine.orders.holds import give_back
from timers.engine.orders.priorities import timer_priorities
from timers.engine.orders.rows import OrderRow, lock_roots, read_turns
from timers.engine.orders.trees import Trees
from timers.engine.outcome import Next, Outcome, Verdict
from timers.exceptions import TimersError

NOT_KEPT: Final = "the result was not kept"
_STEP: Final = Verdict("step")


@dataclass(slots=True)
class StepEnds:
    """The ends of steps, and of the starts of orders, of one transaction; their trees are locked."""

    roots: dict[str, OrderRow]
    chains: dict[tuple[int, str], ChainKey]
    busy: set[str]
    """Roots that another transaction has locked."""
    priorities: dict[int, int]
    """Priorities of the timers that begin orders, where they are not 0."""
    continued: list[Execution] = field(default_factory=list)
    """The next steps of the orders, as far as they were claimed."""

    @classmethod
    def lock(cls, executions: Sequence[Execution], *, skip_locked: bool = False) -> StepEnds:
        """Lock the trees of all orders among the executions; with `skip_locked` only those that are not locked."""
        roots = {execution.order.root for execution in executions if execution.order is not None}
        starts = {
            (execution.group.id, execution.action.chain)
            for execution in executions
            if execution.order is None and isinstance(execution.action, ChainAction)
        }
        # Whatever is known of the group: it may have got its first priority since the claim.
        beginning = {execution.timer_id for execution in executions if execution.order is None}
        locked = lock_roots(roots, skip_locked=skip_locked)
        # Orders of a deleted group do not exist any longer.
        busy = set(read_turns(roots - locked.keys()))
        return cls(locked, newest_versions(starts, keep=True), busy, timer_priorities(beginning))

    def is_busy(self, execution: Execution) -> bool:
        """Return whether another transaction has locked the tree of an order."""
        return execution.order is not None and execution.order.root in self.busy

    def judge(self, outcome: Outcome) -> Verdict | None:
        """Return the verdict on an outcome if the chain decides; None if the policies of the group do."""
        execution = outcome.execution
        if execution.order is None:
            return self._judge_start(outcome) if isinstance(execution.action, ChainAction) else None
        is_tried_again = not outcome.revoked_because and (
            outcome.word == "snoozed" or (outcome.word == "lost" and (outcome.forgiven or not outcome.lost_before))
        )
        return None if is_tried_again and not gone_elsewhere([execution]) else _STEP

    def _judge_start(self, outcome: Outcome) -> Verdict | None:
        execution = outcome.execution
        assert isinstance(execution.action, ChainAction)
        if outcome.word != "succeeded":
            return None
        problem = self._why_not_begun(execution, execution.action.chain)
        if problem:
            outcome.word, outcome.permanent = "error", True
            outcome.reason = outcome.error_title = problem
            return None
        return _STEP

    def _why_not_begun(self, execution: Execution, chain: str) -> str:
        """Return why no order can begin; empty if one can."""
        if execution.step:
            return "the order is gone"
        key = self.chains.get((execution.group.id, chain))
        if key is None:
            return f'group {execution.group.name} has no chain "{chain}"'
        if not isinstance(execution.payload, dict | None):
            return f"payload: is {kind_of(execution.payload)}, not an object. It is the variables of the order."
        try:
            defaults = definition_of(key.version_id).chain.variables
            if defaults:  # a payload alone is within the limit
                check_variables({**defaults, **(execution.payload or {})})
        except (BadResult, TimersError) as error:
            return str(error)
        return ""

    def end(
        self,
        holder: AnyHolder,
        outcomes: Sequence[Outcome],
        now_us: int,
        continuing: Callable[[], Continuing | None] = lambda: None,
    ) -> list[tuple[Outcome, Verdict]]:
        """Advance the orders; return the outcomes and verdicts of whole orders that ended with it.

        Args:
            holder: the worker.
            outcomes: ends of steps, and of executions that start orders.
            now_us: microseconds by the database clock.
            continuing: returns what claims next steps; None: they all wait.
        """
        clocks = {outcome.execution.group.id: outcome.execution.group.clock for outcome in outcomes}
        trees = Trees(self.roots, now_us, clocks)
        trees.load(outcome.execution.id for outcome in outcomes if outcome.execution.order is not None)
        by_root: dict[str, Outcome] = {}
        # Orders that have moved on have another place by now, and may be claimed there.
        present = [outcome for outcome in outcomes if _is_present(outcome.execution, trees)]
        for outcome in present:
            execution = outcome.execution
            if execution.order is None:
                self._start(trees, execution)
                by_root[execution.id] = outcome
            else:
                trees.hold(execution.id, _attempts(execution), is_running=execution.order.is_run)
                by_root[execution.order.root] = outcome
        for outcome in present:
            if outcome.execution.order is not None:
                trees.send(outcome.execution.id, _event(outcome, trees))
        _record(holder, outcomes, trees)
        if (claims := continuing()) is not None:
            self.continued = claims.claim(holder, present, trees, now_us)
        trees.write(holder.node, holder.worker)
        give_back(outcome.execution for outcome in outcomes)
        return [_whole(row, by_root[row.root]) for row in trees.ended if row.order.parent is None]

    def _start(self, trees: Trees, execution: Execution) -> None:
        assert isinstance(execution.action, ChainAction)
        key = self.chains[execution.group.id, execution.action.chain]
        chain = definition_of(key.version_id).chain
        order = Order(execution.id, chain.start, variables={**chain.variables, **(execution.payload or {})})
        # Earlier attempts of the start, which were lost, have rows in the ledger: their numbers are not used again.
        before, priority = execution.attempt - 1, self.priorities.get(execution.timer_id, chain.priority)
        row = OrderRow(
            order, execution.id, None, execution.group.id, *key, execution.timer_id, execution.name, total=None,
            is_reset=False, attempts=before, priority=priority, subscription=execution.subscription,
        )  # fmt: skip
        trees.add(row)


def gone_elsewhere(executions: Sequence[Execution]) -> set[str]:
    """Return the claimed orders that have moved on since, and may have another place; their trees are locked."""
    claimed = {execution.id: execution.order.turn for execution in executions if execution.order is not None}
    turns = read_turns(claimed)
    return {id_ for id_, turn in claimed.items() if turns.get(id_) != turn}


def _is_present(execution: Execution, trees: Trees) -> bool:
    order = execution.order
    return order is None or (trees.has(execution.id) and trees.row(execution.id).order.turn == order.turn)


def is_of_order(execution: Execution) -> bool:
    """Return whether an execution is an order, or starts one at its end."""
    return execution.order is not None or isinstance(execution.action, ChainAction)


def _record(holder: AnyHolder, outcomes: Sequence[Outcome], trees: Trees) -> None:
    """Write the ends of steps into the ledger; starts and inspections of orders have no row there."""
    ends = [each for each in outcomes if each.execution.order is not None and each.execution.order.is_run]
    names = [trees.set_by.get(each.execution.id) for each in ends]
    set_by = [None if each is None else encode(each, "variables") for each in names]
    ledger.write_steps(holder, [ledger.step_entry(each) for each in ends], set_by)


def _attempts(execution: Execution) -> int:
    assert execution.order is not None
    return execution.attempt if execution.order.is_run else execution.attempt - 1


def _event(outcome: Outcome, trees: Trees) -> events.Event:
    execution = outcome.execution
    assert execution.order is not None
    if outcome.revoked_because and outcome.word != "succeeded":
        # Not if it was revoked because the order has moved on.
        return events.Cancelled(outcome.revoked_because, turn=execution.order.turn)
    if not execution.order.is_run:
        return _look(trees, execution)
    turn = execution.order.turn
    if outcome.word != "succeeded":
        error = outcome.error_title or outcome.reason or outcome.word
        return events.StepFailed(error, may_retry=not outcome.permanent, retry_after=outcome.wait, turn=turn)
    if outcome.result is None and outcome.reason and outcome.reason.startswith(NOT_KEPT):
        return events.StepFailed(outcome.reason, turn=turn)
    return events.StepSucceeded(None if outcome.result is None else decode(outcome.result), turn=turn)


def _look(trees: Trees, execution: Execution) -> events.Event:
    """Return the event of an inspection: a person retries a parked order, its time is over, or its step stopped."""
    row = trees.row(execution.id)
    order = row.order
    if order.state == FAILED:
        return events.Resumed(tallies=trees.tallies(row.id))
    is_action = order.step in definition_of(row.version_id).actions
    is_over = order.state == AWAITING or (order.state == WAITING and not is_action)
    return events.TimeOver(turn=order.turn) if is_over else events.StatesChanged()


_NEXT: Final[dict[str | None, Next]] = {"succeeded": "end", "cancelled": "cancel", "failed": "drop", None: "park"}


def _whole(row: OrderRow, outcome: Outcome) -> tuple[Outcome, Verdict]:
    """Return the outcome and verdict of a whole order for its timer."""
    meant, execution, outcome = parse_id(row.id), copy(outcome.execution), copy(outcome)
    execution.id, execution.scheduled_us, execution.origin = row.id, meant.scheduled_us, meant.origin
    outcome.execution, outcome.word, outcome.reason = execution, "succeeded", row.order.reason
    return outcome, Verdict(_NEXT[row.order.outcome])
