"""Orders of random chains: what happens outside of them, and events in a random order."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from random import Random
from typing import Any

from tests.domain.chains.engine import Engine
from tests.domain.chains.graphs import random_chains
from tests.domain.chains.reference import Path
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
                begun = ((fork, parent.visits.get(fork, 0)), key)
            else:
                begun = ((parent.step, parent.visits.get(parent.step, 0), parent.setbacks),)
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
        self.joined.append((*self.paths[key], (fork, order.visits.get(fork, 0))))
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
            word, result = self.outside.attempt(path, step, order.visits.get(step, 0), order.setbacks)
            if word == "ok":
                return events.StepSucceeded(result, turn=turn)
            return events.StepFailed("broken", may_retry=word == "error", turn=turn)
        answer = self.outside.answer(path, step, order.visits.get(step, 0))
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
            # A sub-chain that was cancelled still runs its finally steps.
            if order.parent is not None and order.state != ENDED and not order.in_finally:
                parent = self.rows[order.parent].order
                assert (parent.state, parent.round) == (JOINING, row.round), "a branch lives that nobody waits for"

    def check_bounds(self) -> None:
        """No round ever had more branches at once than its map allows."""
        for (key, round_), most in self.most_running.items():
            forks = (row.order.branch for row in self.rows.values() if (row.order.parent, row.round) == (key, round_))
            fork = next((branch.fork for branch in forks if branch is not None), None)
            assert most <= self.specs[self.rows[key].chain]["steps"].get(fork, {}).get("parallel", 3)
