"""Walk: progress of an order until it waits, while one event is handled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from timers.domain.chains.definition import Chain
from timers.domain.chains.moves import Finish, Moves
from timers.domain.chains.order import CLAIMED, ENDED, FAILED, SUCCEEDED, SUSPENDED, Order, Pending, StepStates
from timers.domain.chains.results import check_variables
from timers.domain.chains.steps import ActionStep, EndStep, MapStep, Step


class Walk:
    """Collects the moves of one event: changes of the order, and what else must be done."""

    def __init__(self, chain: Chain, order: Order, now: datetime, states: StepStates) -> None:
        self.chain = chain
        self.order = order
        self.now = now
        self.states = states
        self.turn = order.turn + 1
        self.place: dict[str, Any] = {}
        """Changed fields of the order."""
        self.set_variables: dict[str, Any] = {}
        self.effects: dict[str, Any] = {}
        self.notes: list[str] = []
        self.visits: dict[str, int] = {}
        self._is_count_restarted = False
        self.changes = 0
        """Number of changes of variables."""

    # Present state of the order.

    def now_of(self, field: str) -> Any:
        """Return a field of the order, with the changes so far."""
        return self.place[field] if field in self.place else getattr(self.order, field)

    @property
    def step(self) -> Step:
        """Present step of the order."""
        return self.chain.steps[self.now_of("step")]

    @property
    def seen(self) -> Mapping[str, Any]:
        """All variables, with the changes so far."""
        return {**self.order.inherited, **self.order.variables, **self.set_variables}

    def moves(self) -> Moves:
        """Return the collected moves."""
        order = self.order
        changed = {name: value for name, value in self.place.items() if value != getattr(order, name)}
        if self.set_variables:
            changed["variables"] = {**order.variables, **self.set_variables}
        if self.visits or self._is_count_restarted:
            changed["visits"] = {**({} if self._is_count_restarted else order.visits), **self.visits}
        if changed:
            # A request to suspend does not affect what is running: its end must still be recorded.
            has_moved = bool(changed.keys() - {"is_suspend_requested", "deadline_at"})
            order = order.but(**changed, turn=self.turn if has_moved else order.turn)
        return Moves(order=order, set_variables=self.set_variables, notes=tuple(self.notes), **self.effects)

    # Changes.

    def assign(self, variables: Mapping[str, Any]) -> None:
        """Set variables. Raises BadResult if they exceed a limit."""
        own = self._own()
        changed = {
            name: value for name, value in variables.items() if name not in own or not same_value(own[name], value)
        }
        if changed:
            check_variables({**self.seen, **changed})
            self.set_variables.update(changed)
            self.changes += 1

    def count(self, name: str) -> int:
        """Count a visit of a step and return the number of visits."""
        before = 0 if self._is_count_restarted else self.order.visits.get(name, 0)
        self.visits[name] = self.visits.get(name, before) + 1
        return self.visits[name]

    def _own(self) -> Mapping[str, Any]:
        return {**self.order.variables, **self.set_variables}

    def restart_counts(self) -> None:
        """Reset the counts of visits and setbacks, because a person has handled the order."""
        self._is_count_restarted = True
        self.visits.clear()
        self.place["setbacks"] = 0

    def rest(self, state: str, *, at: datetime | None = None, reason: str = "") -> None:
        """Leave the order at its step, in a state."""
        self.place.update(state=state, available_at=at, reason=reason)
        if reason:
            self.notes.append(f"{state} at {self.now_of('step')}: {reason}")

    def suspend(self, reason: str) -> None:
        """Suspend this order until a person resumes it."""
        self.place["is_suspend_requested"] = False
        self.rest(SUSPENDED, reason=reason)

    def leave(self) -> None:
        """End what the order waits for or holds, because it moves elsewhere."""
        if self.order.state == CLAIMED:
            self.effects["revoke"] = True
            self.release_locks()
        if self.order.round is not None:
            self.effects["cancel_branches" if self.step.kind == "join" else "cancel_sub_order"] = True

    def release_locks(self) -> None:
        """Release the locks of the step that was claimed."""
        step = self.chain.steps[self.order.step]
        if isinstance(step, ActionStep) and step.locks:
            self.effects["release_locks"] = step.locks

    # The end of the order.

    def end(self, outcome: str, reason: str = "", resume_at: str | None = None) -> str | None:
        """End the order. Return the first of its finally steps if they must run before."""
        pending = Pending(outcome, reason, resume_at, self.now_of("round") if resume_at else None)
        if self.order.branch is not None:
            self.settle(pending)
            return None
        if self.now_of("in_finally"):
            before = self.now_of("pending")
            if outcome == SUCCEEDED or before.outcome != SUCCEEDED:
                pending = before
            else:
                pending = replace(pending, outcome=outcome, reason=f"finally: {reason}", resume_at=None, round=None)
            self.settle(pending)
            return None
        if self.chain.finally_ is None:
            self.settle(pending)
            return None
        self.notes.append(f"{outcome}{': ' if reason else ''}{reason}; finally steps begin")
        self.place.update(in_finally=True, pending=pending, deadline_at=None, is_suspend_requested=False)
        return self.chain.finally_

    def settle(self, pending: Pending) -> None:
        """Apply the final outcome: keep what can be resumed as failed, finish everything else."""
        is_child = self.order.parent is not None
        if pending.resume_at is not None:
            self.place.update(step=pending.resume_at, round=pending.round)
        self.place.update(
            in_finally=False, pending=None, deadline_at=None, is_suspend_requested=False, available_at=None,
            reason=pending.reason,
        )  # fmt: skip
        self.notes.append(f"{pending.outcome}{': ' if pending.reason else ''}{pending.reason}")
        if pending.outcome == FAILED and not is_child and self._can_resume(pending.resume_at):
            self.place["state"] = FAILED
            self.effects["park"] = True
            return
        self.place.update(state=ENDED, outcome=pending.outcome)
        result = self._result() if is_child and pending.outcome == SUCCEEDED else {}
        self.effects["finish"] = Finish(pending.outcome, pending.reason, result)

    def _can_resume(self, step: str | None) -> bool:
        """Whether a failed order can be resumed there; not if it reached an end with the outcome failed."""
        return step is not None and not isinstance(self.chain.steps[step], EndStep)

    def _result(self) -> Mapping[str, Any]:
        own = self._own()
        branch = self.order.branch
        fork = self.chain.steps[branch.fork] if branch is not None else None
        return {name: value for name, value in own.items() if not isinstance(fork, MapStep) or name != fork.element}


def same_value(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal; true and 1 are different."""
    return type(one) is type(other) and bool(one == other) and repr(one) == repr(other)
