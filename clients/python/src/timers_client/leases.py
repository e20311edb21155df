"""Claims and the times at which each must be extended, for the threads and tasks that extend leases."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class _Claim:
    """Messages claimed together, under one token."""

    executions: set[str]
    extend_at: float
    until: float


@dataclass(slots=True)
class Leases:
    """Claims of one consumer. `lease`: seconds; each is extended after a third of it, so two attempts may fail.

    Instants are those of one monotonic clock.
    """

    lease: float
    _claims: dict[str, _Claim] = field(default_factory=dict)

    def hold(self, token: str, executions: set[str], *, asked_at: float, came_at: float) -> None:
        """Add a claim that was requested at one moment and received at another: it was made in between.

        A claim that may have been made long ago, because its consumer waited for it, is extended at once.
        """
        if executions:
            self._claims[token] = _Claim(set(executions), asked_at + self.lease / 3, came_at + self.lease)

    def let_go(self, token: str, execution: str) -> None:
        """Remove an execution that was acknowledged or dropped; with its last one the claim is removed."""
        claim = self._claims.get(token)
        if claim is not None:
            claim.executions.discard(execution)
            if not claim.executions:
                del self._claims[token]

    def due(self, now: float) -> list[tuple[str, str]]:
        """Return the claims that must be extended now: each token with one of its executions."""
        found = []
        for token, claim in self._claims.items():
            if claim.extend_at <= now:
                claim.extend_at = now + self.lease / 3
                found.append((token, next(iter(claim.executions))))
        return found

    def pairs(self) -> list[tuple[str, str]]:
        """Return all claimed executions as pairs of token and execution."""
        return [(token, execution) for token, claim in self._claims.items() for execution in claim.executions]

    def hasten(self, token: str, now: float) -> None:
        """Extend the claim again at once, by another of its executions."""
        claim = self._claims.get(token)
        if claim is not None:
            claim.extend_at = now

    def kept(self, token: str, asked_at: float) -> None:
        """Record that the service has extended a claim, by a request of this moment."""
        claim = self._claims.get(token)
        if claim is not None:
            claim.until = asked_at + self.lease

    def is_over(self, token: str, now: float) -> bool:
        """Return whether a claim has expired, as far as known here: it is unknown, or could not be extended in time."""
        claim = self._claims.get(token)
        return claim is None or claim.until <= now

    def next_at(self) -> float | None:
        """Return when the next claim must be extended."""
        return min((claim.extend_at for claim in self._claims.values()), default=None)
