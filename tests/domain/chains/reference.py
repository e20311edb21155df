"""A slow interpreter of chains: it walks a definition by recursion, without events, rows or moves.

It is written from the description of chains, not from `advance`, and knows only the JSON form. What a step returns, and
in which order the branches of each join ended, it takes from a script; all else it works out by itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

Path = tuple[Any, ...]
"""Which order: () for the first one; for a branch or sub-chain the path of its parent and how it was begun."""


class Script(Protocol):
    """What happens outside of the chain."""

    def attempt(self, path: Path, step: str, visit: int, setback: int) -> tuple[str, Any]:
        """What one try of an action gives: ok and a result, error, or permanent error."""

    def answer(self, path: Path, step: str, visit: int) -> Any:
        """What an approval (True, False) or a signal (a payload) gets."""

    def ends(self, path: Path) -> Sequence[Any]:
        """The branches of a round, in the order in which they ended while the join waited."""


@dataclass
class End:
    """How an order ended, or where it stopped."""

    state: str
    """succeeded, failed, suspended, or waiting: for a branch or sub-chain that stopped."""
    variables: dict[str, Any]
    step: str = ""
    """Where it failed or stopped."""


@dataclass
class _Way:
    """One order on its way."""

    path: Path
    inherited: Mapping[str, Any]
    own: dict[str, Any]
    visits: dict[str, int] = field(default_factory=dict)

    @property
    def seen(self) -> dict[str, Any]:
        return {**self.inherited, **self.own}


class _Stopped(Exception):
    def __init__(self, state: str, step: str) -> None:
        super().__init__(state, step)
        self.state = state
        self.step = step


class Reference:
    """Interprets the orders of some chains."""

    def __init__(self, chains: Mapping[str, Mapping[str, Any]], script: Script, skipped: frozenset[str]) -> None:
        self.chains = chains
        self.script = script
        self.skipped = skipped
        self.joins: list[Path] = []
        """The rounds whose join succeeded."""

    def run(self, chain: str, variables: Mapping[str, Any], path: Path = ()) -> End:
        """The end of an order of a chain."""
        spec = self.chains[chain]
        way = _Way(path, {}, {**spec.get("variables", {}), **variables})
        end = self._walk(spec, way, spec["start"], until=None)
        if end.state in ("succeeded", "failed") and "finally" in spec:
            last = self._walk(spec, way, spec["finally"], until=None)
            if last.state not in ("succeeded", "failed"):
                return last
            if last.state == "failed" and end.state == "succeeded":
                return End("failed", way.own)
        return End(end.state, way.own, end.step)

    def _walk(self, spec: Mapping[str, Any], way: _Way, name: str, until: str | None) -> End:
        """Follow an order to its end, a branch to its join."""
        unchanged: set[str] = set()
        try:
            while name != until:
                step = spec["steps"][name]
                way.visits[name] = way.visits.get(name, 0) + 1
                if way.visits[name] > step.get("max_visits", 100) or name in unchanged:
                    return End("suspended", way.own, name)
                if step["kind"] == "end":
                    return End(step.get("outcome", "succeeded"), way.own)
                before = repr(way.own)
                if name in self.skipped:
                    following, has_run = _behind(spec, name), False
                else:
                    following, has_run = self._step(spec, way, name, step)
                if has_run:
                    unchanged.clear()
                elif repr(way.own) != before:
                    unchanged = set()
                else:
                    unchanged.add(name)
                name = following
        except _Failed as failed:
            return End("failed", way.own, failed.step)
        except _Stopped as stopped:
            return End(stopped.state, way.own, stopped.step)
        return End("succeeded", way.own)

    def _step(self, spec: Mapping[str, Any], way: _Way, name: str, step: Mapping[str, Any]) -> tuple[str, bool]:
        """The step that follows, and whether anything was run or waited for."""
        kind, visit = step["kind"], way.visits[name]
        if kind == "choice":
            return next(
                (each["next"] for each in step["choices"] if _holds(each["when"], way.seen)), step["default"]
            ), False
        if kind == "wait":
            return step["next"], True
        if kind == "approval":
            if self.script.answer(way.path, name, visit):
                return step["next"], True
            return (step["refused"] if "refused" in step else _after_error(step, name)), True
        if kind == "signal":
            payload = self.script.answer(way.path, name, visit)
            return (step["next"] if _take(way, step["results"], payload) else _after_error(step, name)), True
        if kind in ("action", "chain"):
            return self._try(way, name, step), True
        return self._part(spec, way, name, step)

    def _try(self, way: _Way, name: str, step: Mapping[str, Any]) -> str:
        """Try an action or sub-chain until it succeeds or no retry is left."""
        is_retried = "retry" in step or "max_setbacks" in step
        most = step.get("max_setbacks", len(step.get("retry", ()))) if is_retried else 0
        setback = 0
        while True:
            verdict, result = self._attempt(way, name, step, setback)
            if verdict == "ok" and _take(way, step.get("results", ()), result):
                return str(step["next"])
            if verdict == "permanent" or setback >= most:
                break
            setback += 1
        return _after_error(step, name, "on_exhausted" if is_retried else "on_error")

    def _attempt(self, way: _Way, name: str, step: Mapping[str, Any], setback: int) -> tuple[str, Any]:
        if step["kind"] == "action":
            return self.script.attempt(way.path, name, way.visits[name], setback)
        seen = way.seen
        given = {key: seen[key] for key in step.get("variables", seen) if key in seen}
        end = self.run(step["chain"], given, (*way.path, (name, way.visits[name], setback)))
        if end.state in ("suspended", "waiting"):
            raise _Stopped("waiting", name)
        return ("ok", end.variables) if end.state == "succeeded" else ("error", None)

    def _part(self, spec: Mapping[str, Any], way: _Way, name: str, step: Mapping[str, Any]) -> tuple[str, bool]:
        """Run the branches that ended, in their order, until the join is decided."""
        join = spec["steps"][step["join"]]
        if step["kind"] == "fork":
            firsts: dict[Any, Any] = {key: (first, {}) for key, first in step["branches"].items()}
        else:
            elements = way.seen.get(step["over"])
            if not isinstance(elements, list):
                return _after_error(step, name), False
            firsts = {index: (step["branch"], {"element": element}) for index, element in enumerate(elements)}
        round_ = (*way.path, (name, way.visits[name]))
        good, bad, total = {}, 0, len(firsts)
        verdict = _decide(join, 0, 0, total)
        for number, key in enumerate(self.script.ends(round_)):
            assert verdict is None, f"a branch ended after the join {round_} was decided"
            assert key not in good
            if step["kind"] == "map":
                assert key < step["parallel"] + number, f"branch {key} of {round_} began too early"
            first, own = firsts[key]
            branch = _Way((*round_, key), way.seen, dict(own))
            end = self._walk(spec, branch, first, until=step["join"])
            assert end.state in ("succeeded", "failed"), f"branch {key} of {round_} ended although it stopped"
            if end.state == "succeeded":
                good[key] = {key: value for key, value in end.variables.items() if key not in own}
            else:
                bad += 1
            verdict = _decide(join, len(good), bad, total)
        if verdict is None:
            raise _Stopped("waiting", step["join"])
        if not verdict:
            return _after_error(join, step["join"]), total > 0
        self.joins.append(round_)
        if step["kind"] == "fork":
            way.own["branches"] = {**way.seen.get("branches", {}), **good}
        else:
            way.own["results"] = [good.get(index) for index in range(total)]
        return str(join["next"]), total > 0


class _Failed(Exception):
    def __init__(self, step: str) -> None:
        super().__init__(step)
        self.step = step


def _after_error(step: Mapping[str, Any], name: str, policy: str = "on_error") -> str:
    found = step.get(policy, "fail")
    if isinstance(found, dict):
        return str(found["goto"])
    if found == "suspend":
        raise _Stopped("suspended", name)
    raise _Failed(name)


def _behind(spec: Mapping[str, Any], name: str) -> str:
    step = spec["steps"][name]
    if step["kind"] in ("fork", "map"):
        step = spec["steps"][step["join"]]
    return str(step["default"] if step["kind"] == "choice" else step["next"])


def _take(way: _Way, results: Any, value: Any) -> bool:
    """Set the variables of a result; False: it is not of the form that is asked for."""
    names = {each: each for each in results} if isinstance(results, list) else {
        variable: pointer[1:] for variable, pointer in dict(results).items()
    }  # fmt: skip
    if not names:
        return True
    if not isinstance(value, dict) or any(key not in value for key in names.values()):
        return False
    way.own.update({variable: value[key] for variable, key in names.items()})
    return True


def _holds(when: Mapping[str, Any], seen: Mapping[str, Any]) -> bool:
    for key, wanted in when.items():
        value = seen.get(key)
        if isinstance(wanted, dict):
            if not isinstance(value, int) or isinstance(value, bool):
                return False
            if not wanted.get("at_least", value) <= value <= wanted.get("at_most", value):
                return False
        elif isinstance(value, bool) or value != wanted:
            return False
    return True


def _decide(join: Mapping[str, Any], good: int, bad: int, total: int) -> bool | None:
    """Whether the join succeeds or fails; None: not decided."""
    mode, policy = join["mode"], join["on_branch_failure"]
    wanted = {"all": total, "any": 1}.get(mode, mode)
    if policy == "fail" and bad:
        return False
    if good >= wanted:
        return True
    if good + bad == total:
        return bool(policy == "ignore")
    return None
