"""Builder: write a definition in Python, step by step.

    definition = (
        chain("import")
        .step("fetch", action="orders.fetch", results=["total"])
        .choice("large", when=[({"total": {"at_least": 1000}}, "approve")], default="notify")
        .approval("approve", text="Import this order?", deadline=86400)
        .step("notify", action="orders.notify")
    )

A step without `next` is followed by the step that is added after it. An end is added after the last one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, Self

from timers.exceptions import InvalidRequest

_LAST: Final = "end"
"""Name of the end that is added."""


def chain(name: str, **fields: Any) -> ChainBuilder:
    """Create a builder.

    `fields`: fields of a chain, such as deadline, locks, variables; `finally_` for finally.
    """
    return ChainBuilder(name, fields)


class ChainBuilder:
    """Collects steps; `build` returns the JSON form that parse_chain reads."""

    def __init__(self, name: str, fields: Mapping[str, Any]) -> None:
        self.name = name
        self._fields = _plain(fields)
        self._steps: dict[str, dict[str, Any]] = {}
        self._following: set[str] = set()
        """Steps that lead to the step that is added next."""

    def step(self, name: str, *, action: str | Mapping[str, Any], next: str | None = None, **fields: Any) -> Self:
        """Add a step that runs an action, given as JSON or as the name of a handler."""
        spec = {"kind": "python", "handler": action} if isinstance(action, str) else dict(action)
        return self._add(name, "action", {"action": spec, **fields}, next=next, is_followed=True)

    def fork(self, name: str, branches: Mapping[str, str], *, join: str, **fields: Any) -> Self:
        """Add a fork. `branches`: first step of each branch, by the branch's name."""
        return self._add(name, "fork", {"branches": dict(branches), "join": join, **fields})

    def map(self, name: str, *, over: str, branch: str, join: str, **fields: Any) -> Self:
        """Add a map: a branch that begins with the step `branch`, for each element of a list variable."""
        return self._add(name, "map", {"over": over, "branch": branch, "join": join, **fields})

    def join(self, name: str, *, mode: str | int = "all", next: str | None = None, **fields: Any) -> Self:
        """Add a join, at which the branches of a fork or map end."""
        return self._add(name, "join", {"mode": mode, **fields}, next=next, is_followed=True)

    def choice(self, name: str, *, when: Iterable[tuple[Mapping[str, Any], str]], default: str) -> Self:
        """Add a choice: pairs of a condition and the step that follows if it holds."""
        choices = [{"when": dict(condition), "next": following} for condition, following in when]
        return self._add(name, "choice", {"choices": choices, "default": default})

    def approval(self, name: str, *, next: str | None = None, **fields: Any) -> Self:
        """Add a step that waits for a person."""
        return self._add(name, "approval", fields, next=next, is_followed=True)

    def signal(self, name: str, *, next: str | None = None, **fields: Any) -> Self:
        """Add a step that waits for a signal."""
        return self._add(name, "signal", fields, next=next, is_followed=True)

    def wait(self, name: str, *, next: str | None = None, **fields: Any) -> Self:
        """Add a step that waits for a duration, until an instant, or for the next fire of a cron expression."""
        return self._add(name, "wait", fields, next=next, is_followed=True)

    def sub_chain(self, name: str, chain: str, *, next: str | None = None, **fields: Any) -> Self:
        """Add a step that runs another chain."""
        return self._add(name, "chain", {"chain": chain, **fields}, next=next, is_followed=True)

    def end(self, name: str, *, outcome: str = "succeeded", reason: str = "") -> Self:
        """Add an end."""
        return self._add(name, "end", {"outcome": outcome, **({"reason": reason} if reason else {})})

    def build(self) -> dict[str, Any]:
        """Return the JSON form. parse_chain validates it, not this method."""
        steps = {name: dict(spec) for name, spec in self._steps.items()}
        names = list(steps)
        for name, following in zip(names, [*names[1:], _LAST], strict=True):
            if name in self._following:
                steps[name]["next"] = following
        if names and names[-1] in self._following:
            if _LAST in steps:
                raise InvalidRequest(
                    f"steps.{names[-1]}.next", f'is missing, and "{_LAST}" is not the last step. Name the next one.'
                )
            steps[_LAST] = {"kind": "end"}
        return {**self._fields, "steps": steps}

    def _add(
        self, name: str, kind: str, fields: Mapping[str, Any], *, next: str | None = None, is_followed: bool = False
    ) -> Self:
        if name in self._steps:
            raise InvalidRequest(f"steps.{name}", "is there already. Give each step a name of its own.")
        self._steps[name] = {"kind": kind, **_plain(fields), **({} if next is None else {"next": next})}
        if is_followed and next is None:
            self._following.add(name)
        return self


def _plain(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields without the underscore that avoids a Python keyword: finally_ becomes finally."""
    return {name.removesuffix("_"): value for name, value in fields.items()}
