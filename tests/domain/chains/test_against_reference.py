"""Random chains, random interleavings: `advance` ends as the slow reference interpreter says."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from random import Random
from typing import Any

import pytest

from tests.domain.chains.engine import Engine
from tests.domain.chains.graphs import random_chains
from tests.domain.chains.reference import Path, Reference
from tests.support.profile import IS_LONG
from timers.domain.chains import Order, StepStates, events, parse_chain
from timers.domain.chains.order import (
    AT_STOPPED,
    AWAITING,
    CLAIMED,
    ENDED,
    FAILED,
    JOINING,
    PENDING,
    READY,
    STATES,
    SUSPENDED,
    WAITING,
)

GRAPHS = 10_000 if IS_LONG else 400
PARTS = 40 if IS_LONG else 4


class Outside:
    """What steps return and people answer, by a hash; and the order in which branches ended, as it was seen."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self.ended: dict[Path, list[Any]] = {}

    def attempt(self, path: Path, step: str, visit: int, setback: int) -> tuple[str, Any]:
        dice = self._dice(path, step, visit, setback)
        words = ("ok",) * 25 + ("error",) * 5 + ("permanent", "odd")
        found = words[dice % 32]
        values = {f"v{n}": (dice >> (8 * n + 8)) % 10 for n in range(3)}
        return ("ok", None) if found == "odd" else (found, values if found == "ok" else None)

    def answer(self, path: Path, step: str, visit: int) -> Any:
        dice = self._dice(path, step, visit)
        return dice % 4 > 0 if step.startswith("approval") else {"v1": dice % 10} if dice % 4 else "odd"

    def ends(self, path: Path) -> Sequence[Any]:
        return self.ended.get(path, ())

    def _dice(self, *what: Any) -> int:
        return int.from_bytes(blake2b(repr((self._seed, what)).encode(), digest_size=8).digest())


class Run(Engine):
    """Orders whose next event is chosen at random."""

    def __init__(self, seed: int) -> None:
        self.rng = Random(seed)
        self.specs = random_chains(self.rng)
        super().__init__(**{name: parse_chain(spec) for name, spec in self.specs.items()})
        self.outside = Outside(seed)
        self.paths: dict[int, Path] = {}
        self.joined: list[Path] = []
        """The rounds whose join went on."""
        self.past: list[tuple[int, events.Event]] = []
        steps = [name for chain in self.chains.values() for name, step in chain.steps.items() if step.can_be_passed]
        is_skipping = self.rng.random() < 0.2
        self.skipped = frozenset(name for name in steps if is_skipping and self.rng.random() < 0.2)
        self.may_stop = steps if self.rng.random() < 0.3 else []
        self.states = StepStates(skipped=self.skipped)

    def _insert(self, chain: str, order: Order, round_: int | None) -> int:
        if order.parent is None:
            self.paths[len(self.rows) + 1] = ()
        else:
            parent = self.rows[order.parent].order
            begun: Any
            if order.branch is not None:
                key = order.branch.name if order.branch.index is None else order.branch.index
                fork = order.branch.fork
                begun = ((fork, parent.visits[fork]), key)
            else:
                begun = ((parent.step, parent.visits[parent.step], parent.setbacks),)
            self.paths[len(self.rows) + 1] = (*self.paths[order.parent], *begun)
        return super()._insert(chain, order, round_)

    def _report_end(self, key: int, moves: Any) -> None:
        row = self.rows[key]
        parent = self.rows[row.order.parent].order
        if row.order.branch is not None and parent.state == JOINING and parent.round == row.round:
            path = self.paths[key]
            self.outside.ended.setdefault(path[:-1], []).append(path[-1])
        super()._report_end(key, moves)

    def _collect(self, key: int) -> None:
        order, chain = self.rows[key].order, self.chains[self.rows[key].chain]
        fork = chain.forks[order.step]
        self.joined.append((*self.paths[key], (fork, order.visits[fork])))
        super()._collect(key)

    def go(self) -> int:
        """Start an order and choose events until nothing can happen any more."""
        first = self.start()
        while True:
            live = [key for key, row in self.rows.items() if row.order.state in (READY, CLAIMED, WAITING, AWAITING)]
            stopped = [key for key, row in self.rows.items() if row.order.state == AT_STOPPED]
            if not live and not stopped:
                return first
            if self.may_stop and (self.rng.random() < 0.1 or not live):
                is_on = bool(live) and self.rng.random() < 0.5
                which = frozenset(self.rng.sample(self.may_stop, min(2, len(self.may_stop)))) if is_on else frozenset()
                self.states = StepStates(stopped=which, skipped=self.skipped)
                for key in list(self.rows):
                    self._hand(key, events.StatesChanged())
            elif live:
                self._happen(self.rng.choice(live))
            if self.past and self.rng.random() < 0.2:
                self._hand(*self.rng.choice(self.past))
            self.check()

    def _hand(self, key: int, event: events.Event) -> None:
        self.send(key, event)

    def _happen(self, key: int) -> None:
        order = self.rows[key].order
        if order.state == READY:
            self.claim(key)
            return
        event = self._event(self.paths[key], order)
        self.past.append((key, event))
        self.send(key, event)

    def _event(self, path: Path, order: Order) -> events.Event:
        step, turn = order.step, order.turn
        if order.state == WAITING:
            return events.TimeOver(turn=turn)
        if order.state == CLAIMED:
            word, result = self.outside.attempt(path, step, order.visits[step], order.setbacks)
            if word == "ok":
                return events.StepSucceeded(result, turn=turn)
            return events.StepFailed("broken", may_retry=word == "error", turn=turn)
        answer = self.outside.answer(path, step, order.visits[step])
        if step.startswith("approval"):
            return events.Approved(turn=turn) if answer else events.Refused(turn=turn)
        return events.Signalled(step, answer, turn=turn)

    def check(self) -> None:
        """What holds at every moment."""
        for key, row in self.rows.items():
            order, chain = row.order, self.chains[row.chain]
            assert order.state in STATES
            assert order.state != PENDING
            assert (order.outcome is not None) == (order.state == ENDED)
            assert order.step in chain.steps
            if order.step in chain.scopes and order.state not in (ENDED, FAILED) and order.step not in chain.forks:
                assert chain.scopes[order.step] == order.scope
            if order.state == JOINING:
                assert any(self.rows[child].order.state != ENDED for child in self.children(key)), order
            if order.state == SUSPENDED:
                assert order.reason


@pytest.mark.parametrize("part", range(PARTS))
def test_random_chains_end_as_the_reference_says(part: int) -> None:
    for seed in range(part * GRAPHS // PARTS, (part + 1) * GRAPHS // PARTS):
        run = Run(seed)
        first = run.go()
        reference = Reference(run.specs, run.outside, run.skipped)

        wanted = reference.run("main", {})

        order = run.order(first)
        state = order.outcome or {JOINING: "waiting"}.get(order.state, order.state)
        assert (seed, state, order.variables) == (seed, wanted.state, wanted.variables)
        if state in (SUSPENDED, "waiting") or order.state == FAILED:
            assert (seed, order.step) == (seed, wanted.step)
        assert len(set(run.joined)) == len(run.joined)
        # Branches that were cancelled may have joined before; the reference does not walk through them.
        assert {path for path in reference.joins if run.outside.ends(path)} <= set(run.joined)
        for (key, round_), most in run.most_running.items():
            fork = next(
                (row.order.branch.fork for row in run.rows.values()
                 if row.order.parent == key and row.round == round_ and row.order.branch is not None),
                None,
            )  # fmt: skip
            spec = run.specs[run.rows[key].chain]["steps"].get(fork, {})
            assert most <= spec.get("parallel", 3)
