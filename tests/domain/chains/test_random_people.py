"""People interfere with orders of random chains at random: nothing is lost, doubled or left behind."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest

from tests.domain.chains.random_run import Run
from tests.support.profile import IS_LONG
from timers.domain.chains import StepStates, events
from timers.domain.chains.order import AWAITING, CLAIMED, ENDED, FAILED, READY, SUSPENDED, WAITING
from timers.exceptions import InvalidRequest, NotAllowedNow

GRAPHS = 10_000 if IS_LONG else 200
PARTS = 40 if IS_LONG else 4
MOMENTS = 60
_KINDS = ("suspend", "resume", "resume", "resume", "at", "move", "reset", "skip", "cancel", "deadline", "stop")


class Interference(Run):
    """A run in which a person does something now and then."""

    def interfere(self) -> None:
        """Let something happen to an order, or let a person do something to one."""
        rng = self.rng
        live = [key for key, row in self.rows.items() if row.order.state in (READY, CLAIMED, WAITING, AWAITING)]
        if live and rng.random() < 0.7:
            self._happen(rng.choice(live))
            return
        if self.past and rng.random() < 0.3:
            with suppress(NotAllowedNow):
                self.send(*rng.choice(self.past))
            return
        key = rng.choice(list(self.rows))
        with suppress(NotAllowedNow, InvalidRequest):
            self.send(key, self._of_a_person(key))

    def left(self) -> list[int]:
        """The orders that have not ended, but for cancelled sub-chains that still run their finally steps."""
        live = [key for key, row in self.rows.items() if row.order.state != ENDED]
        return [key for key in live if not self._runs_finally_steps(key)]

    def _runs_finally_steps(self, key: int | None) -> bool:
        order = None if key is None else self.rows[key].order
        return order is not None and (order.in_finally or self._runs_finally_steps(order.parent))

    def resume(self, key: int, **fields: Any) -> events.Resumed:
        """The event that resumes an order, with the tallies of its branches."""
        round_ = self.rows[key].order.round
        return events.Resumed(tallies=None if round_ is None else self.tallies(key, round_), **fields)

    def _of_a_person(self, key: int) -> events.Event:
        rng = self.rng
        steps = list(self.chains[self.rows[key].chain].steps)
        kind = rng.choice(
            ["suspend", "resume", "resume", "resume", "at", "move", "reset", "skip", "cancel", "deadline", "stop"]
        )
        if kind == "resume":
            return self.resume(key, variables={"v0": 3} if rng.random() < 0.2 else {})
        if kind == "at":
            return self.resume(key, at=rng.choice(steps))
        if kind == "stop":
            stopped = frozenset(rng.sample(steps, 1)) if rng.random() < 0.5 else frozenset()
            self.states = StepStates(stopped=stopped, skipped=self.skipped)
            return events.StatesChanged()
        return {
            "suspend": events.Suspended(),
            "move": events.Moved(rng.choice(steps)),
            "reset": events.Reset(),
            "skip": events.Skipped(),
            "cancel": events.Cancelled(),
            "deadline": events.DeadlinePassed(),
        }[kind]


@pytest.mark.parametrize("part", range(PARTS))
def test_nothing_is_lost_or_left_behind_whatever_people_do(part: int) -> None:
    for seed in range(part * GRAPHS // PARTS, (part + 1) * GRAPHS // PARTS):
        run = Interference(seed)
        first = run.start()
        for _ in range(MOMENTS):
            run.interfere()
            run.check()
        assert len(set(run.collected)) == len(run.collected)

        run.send(first, events.Cancelled())
        run.send(first, events.Cancelled())

        assert run.left() == []
        run.check_bounds()


@pytest.mark.parametrize("part", range(PARTS))
def test_order_that_is_resumed_often_enough_keeps_what_has_succeeded(part: int) -> None:
    for seed in range(part * GRAPHS // PARTS, (part + 1) * GRAPHS // PARTS):
        run = Interference(seed)
        run.skipped, run.may_stop, run.states = frozenset(), [], StepStates()
        first = run.start()
        for _ in range(150):
            live = [key for key, row in run.rows.items() if row.order.state in (READY, CLAIMED, WAITING, AWAITING)]
            stuck = [key for key, row in run.rows.items() if row.order.state in (SUSPENDED, FAILED)]
            if not live and not stuck:
                break
            good = {key for key, row in run.rows.items() if row.order.outcome == "succeeded"}
            if live:
                run._happen(run.rng.choice(live))
            else:
                run.send(stuck[0], run.resume(stuck[0]))
            run.check()
            assert all(run.rows[key].order.outcome == "succeeded" for key in good)
        else:  # it goes round, or a step fails for ever
            run.send(first, events.Cancelled())
            run.send(first, events.Cancelled())
        assert run.left() == []
        run.check_bounds()
