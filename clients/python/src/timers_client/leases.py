"""Which claims are held and when each must be kept longer: what the threads and tasks that keep leases go by."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class _Claim:
    """What was claimed together, and under one token."""

    executions: set[str]
    extend_at: float


@dataclass(slots=True)
class Leases:
    """The claims of one consumer. `lease`: seconds; each is kept at a third of it, so two tries may fail."""

    lease: float
    _claims: dict[str, _Claim] = field(default_factory=dict)

    def hold(self, token: str, executions: set[str], now: float) -> None:
        """A claim was made at this moment."""
        if executions:
            self._claims[token] = _Claim(set(executions), now + self.lease / 3)

    def let_go(self, token: str, execution: str) -> None:
        """An execution is settled, or lost; with its last one the claim is forgotten."""
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

    def next_at(self) -> float | None:
        """When the next claim must be kept."""
        return min((claim.extend_at for claim in self._claims.values()), default=None)
