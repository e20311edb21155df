"""Random definitions: sequences of steps of every kind, forks within forks, loops, gotos, finally steps."""

from __future__ import annotations

from random import Random
from typing import Any, Final

VARIABLES: Final = ("v0", "v1", "v2")
SUB_CHAIN: Final = "sub"


def random_chains(rng: Random) -> dict[str, dict[str, Any]]:
    """A chain named main, and the sub-chain that it may run."""
    size = rng.choice((1, 2, 4, 6, 8))
    return {"main": _Maker(rng, has_sub_chain=True).make(size), SUB_CHAIN: _Maker(rng, has_sub_chain=False).make(2)}


class _Maker:
    def __init__(self, rng: Random, *, has_sub_chain: bool) -> None:
        self._rng = rng
        self._kinds = ["action"] * 4 + ["choice", "loop", "fork", "fork", "map", "map", "wait", "approval", "signal"]
        if has_sub_chain:
            self._kinds.append("chain")
        self._steps: dict[str, dict[str, Any]] = {}

    def make(self, size: int) -> dict[str, Any]:
        rng = self._rng
        self._steps["done"] = {"kind": "end"}
        start = self._sequence(size, "done", depth=0)
        spec: dict[str, Any] = {
            "start": start,
            "variables": {"list": [rng.randrange(10) for _ in range(rng.choice((0, 1, 2, 3, 7)))], "v0": 1},
            "steps": self._steps,
        }
        if rng.random() < 0.3:
            spec["finally"] = self._sequence(rng.choice((1, 2)), "done", depth=1)
        if any("bad" in _targets(step) for step in self._steps.values()):
            self._steps["bad"] = {"kind": "end", "outcome": "failed", "reason": "bad"}
        return spec

    def _sequence(self, size: int, target: str, depth: int) -> str:
        """Make so many steps that lead to a target, the last one first; returns the first."""
        later = [target]
        """The steps of this scope to which those before may go."""
        kinds = [kind for kind in self._kinds if depth < 2 or kind not in ("fork", "map")]
        for _ in range(size):
            name = getattr(self, f"_make_{self._rng.choice(kinds)}")(later, depth)
            later.append(name)
        return later[-1]

    def _add(self, kind: str, **fields: Any) -> str:
        name = f"{kind}{len(self._steps)}"
        self._steps[name] = {"kind": kind, **fields}
        return name

    def _error_policy(self, later: list[str]) -> Any:
        rng = self._rng
        target = rng.choice([*later, "bad"])
        return rng.choice(["fail", "fail", "suspend", {"goto": target}, {"goto": target}, {"goto": later[-1]}])

    def _make_action(self, later: list[str], depth: int) -> str:
        rng = self._rng
        fields: dict[str, Any] = {"action": {"handler": "h"}, "next": later[-1]}
        if rng.random() < 0.7:
            fields["results"] = rng.sample(VARIABLES, rng.choice((1, 2)))
        self._add_retries(fields, later)
        if rng.random() < 0.1:
            fields["delay"] = 5
        return self._add("action", **fields)

    def _add_retries(self, fields: dict[str, Any], later: list[str]) -> None:
        rng = self._rng
        if rng.random() < 0.4:
            fields["retry"] = [1] * rng.choice((1, 2, 3))
            if rng.random() < 0.3:
                fields["max_setbacks"] = rng.choice((0, 1, 5))
            fields["on_exhausted"] = self._error_policy(later)
        elif rng.random() < 0.8:
            fields["on_error"] = self._error_policy(later)

    def _make_choice(self, later: list[str], depth: int) -> str:
        rng = self._rng
        conditions: list[Any] = [{"at_least": rng.randrange(10)}, {"at_most": rng.randrange(10)}, rng.randrange(10)]
        choices = [
            {"when": {rng.choice(VARIABLES): rng.choice(conditions)}, "next": rng.choice(later)}
            for _ in range(rng.choice((1, 2)))
        ]
        return self._add("choice", choices=choices, default=later[-1])

    def _make_loop(self, later: list[str], depth: int) -> str:
        """An action that is run until it returns a number that is large enough, or too often."""
        rng = self._rng
        choice = f"choice{len(self._steps)}"
        self._steps[choice] = {}
        first = self._add("action", action={"handler": "h"}, results=["v2"], next=choice)
        if rng.random() < 0.5:
            self._steps[first]["max_visits"] = rng.choice((1, 2, 4))
        if rng.random() < 0.3:
            self._steps[first]["on_error"] = {"goto": choice}
        again = [{"when": {"v2": {"at_most": rng.choice((3, 6, 8))}}, "next": first}]
        self._steps[choice] = {"kind": "choice", "choices": again, "default": later[-1], "max_visits": 30}
        return first

    def _make_fork(self, later: list[str], depth: int) -> str:
        rng = self._rng
        names = ["a", "b", "c"][: rng.choice((1, 2, 3, 3))]
        join = self._make_join(later, [1, len(names)])
        branches = {name: self._sequence(rng.choice((1, 1, 2)), join, depth + 1) for name in names}
        return self._add("fork", branches=branches, join=join)

    def _make_map(self, later: list[str], depth: int) -> str:
        rng = self._rng
        join = self._make_join(later, [1, 2, 3])
        branch = self._sequence(rng.choice((1, 1, 2)), join, depth + 1)
        fields: dict[str, Any] = {"over": rng.choice(["list", "list", "list", "list", "v0"]), "branch": branch}
        if rng.random() < 0.5:
            fields["on_error"] = self._error_policy(later)
        return self._add("map", join=join, parallel=rng.choice((1, 2, 3, 10)), **fields)

    def _make_join(self, later: list[str], numbers: list[int]) -> str:
        rng = self._rng
        fields: dict[str, Any] = {"mode": rng.choice(["all", "all", "any", rng.choice(numbers)])}
        fields["on_branch_failure"] = rng.choice(["fail", "wait", "ignore"])
        if rng.random() < 0.5:
            fields["on_error"] = self._error_policy(later)
        return self._add("join", next=later[-1], **fields)

    def _make_wait(self, later: list[str], depth: int) -> str:
        return self._add("wait", duration=self._rng.choice((1, 60)), next=later[-1])

    def _make_approval(self, later: list[str], depth: int) -> str:
        fields: dict[str, Any] = {"next": later[-1]}
        if self._rng.random() < 0.5:
            fields["refused"] = self._rng.choice(later)
        return self._add("approval", **fields)

    def _make_signal(self, later: list[str], depth: int) -> str:
        return self._add("signal", results=["v1"], next=later[-1], on_error=self._error_policy(later))

    def _make_chain(self, later: list[str], depth: int) -> str:
        fields: dict[str, Any] = {"chain": SUB_CHAIN, "next": later[-1]}
        if self._rng.random() < 0.7:
            fields["results"] = {"v1": "/v0"}
        if self._rng.random() < 0.3:
            fields["variables"] = ["v0", "v1"]
        self._add_retries(fields, later)
        return self._add("chain", **fields)


def _targets(step: dict[str, Any]) -> set[str]:
    policies = [step.get("on_error"), step.get("on_exhausted")]
    return {policy["goto"] for policy in policies if isinstance(policy, dict)}
