"""Which claims are held and when each must be kept longer: what the threads and tasks that keep leases go by."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class _Claim:
    """What was claimed together, and under one token."""

    executions: set[str]
    extend_at: float
    until: float


@dataclass(slots=True)
class Leases:
    """The claims of one consumer. `lease`: seconds; each is kept at a third of it, so two tries may fail.

    Instants are those of one monotonic clock.
    """

    lease: float
    _claims: dict[str, _Claim] = field(default_factory=dict)

    def hold(self, token: str, executions: set[str], *, asked_at: float, came_at: float) -> None:
        """A claim was asked for at one moment, and had come at another: it was made in between.

        A claim that may have been made long ago, because its consumer waited for it, is kept at once.
        """
        if executions:
            self._claims[token] = _Claim(set(executions), asked_at + self.lease / 3, came_at + self.lease)

    def let_go(self, token: str, execution: str) -> None:
        """An execution is settled, or nobody's concern here any more; with its last one the claim is forgotten."""
        claim = self._claims.get(token)
        if claim is not None:
            claim.executions.discard(execution)
            if not claim.executions:
                del self._claims[token]

    def due(self, now: float) -> list[tuple[str, str]]:
        """The claims that must be kept now: each token with one of its executions."""
        found = []
        for token, claim in self._claims.items():
            if claim.extend_at <= now:
                claim.extend_at = now + self.lease / 3
                found.append((token, next(iter(claim.executions))))
        return found

    def pairs(self) -> list[tuple[str, str]]:
        """All that is held: token and execution."""
        return [(token, execution) for token, claim in self._claims.items() for execution in claim.executions]

    def hasten(self, token: str, now: float) -> None:
        """Ask again at once, by another of its executions."""
        claim = self._claims.get(token)
        if claim is not None:
            claim.extend_at = now

    def kept(self, token: str, asked_at: float) -> None:
        """The service has kept a claim, as it was asked at this moment."""
        claim = self._claims.get(token)
        if claim is not None:
            claim.until = asked_at + self.lease

    def is_over(self, token: str, now: float) -> bool:
        """Whether a claim has run out, as far as is known here: it is not held, or could not be kept in time."""
        claim = self._claims.get(token)
        return claim is None or claim.until <= now

    def next_at(self) -> float | None:
        """When the next claim must be kept."""
        return min((claim.extend_at for claim in self._claims.values()), default=None)
