"""Differences between two definitions: as data, and as text."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from timers.domain.chains.definition import Chain

_LONGEST: Final = 80
"""Maximum number of characters shown of a value."""


@dataclass(frozen=True, slots=True)
class Change:
    """One field or one step that differs."""

    kind: str
    """One of: added, removed, changed."""
    step: str | None
    """Name of the step; None: a field of the chain itself."""
    path: tuple[str, ...]
    """Keys of the field below the step or the chain; empty for a whole step."""
    before: Any = None
    after: Any = None

    def __str__(self) -> str:
        """Describe the change."""
        where = [f'step "{self.step}"'] if self.step is not None else []
        subject = ": ".join([*where, ".".join(self.path)]) if self.path else where[0]
        if not self.path:
            value = self.after if self.kind == "added" else self.before
            return f"{subject} {self.kind} ({value['kind']})"
        if self.kind == "changed":
            return f"{subject} changed from {_shown(self.before)} to {_shown(self.after)}"
        return f"{subject} {self.kind}: {_shown(self.after if self.kind == 'added' else self.before)}"

    def to_json(self) -> dict[str, Any]:
        """Return the change as data."""
        spec: dict[str, Any] = {"kind": self.kind, "step": self.step, "path": list(self.path), "words": str(self)}
        if self.kind != "added":
            spec["before"] = self.before
        if self.kind != "removed":
            spec["after"] = self.after
        return spec


def diff(before: Chain, after: Chain) -> list[Change]:
    """Return the changes from one definition to another: those of the chain itself, then those of each step."""
    old, new = before.to_json(), after.to_json()
    old_steps, new_steps = old.pop("steps"), new.pop("steps")
    changes = list(_differences(old, new, None, ()))
    for name in [*new_steps, *(name for name in old_steps if name not in new_steps)]:
        if name not in old_steps:
            changes.append(Change("added", name, (), after=new_steps[name]))
        elif name not in new_steps:
            changes.append(Change("removed", name, (), before=old_steps[name]))
        else:
            changes += _differences(old_steps[name], new_steps[name], name, ())
    return changes


def in_words(changes: list[Change]) -> str:
    """Describe the changes, one line each."""
    return "\n".join(map(str, changes)) or "no change"


def _differences(before: Any, after: Any, step: str | None, path: tuple[str, ...]) -> Iterator[Change]:
    if isinstance(before, Mapping) and isinstance(after, Mapping) and (before or not path):
        for key in [*after, *(key for key in before if key not in after)]:
            if key not in before:
                yield Change("added", step, (*path, key), after=after[key])
            elif key not in after:
                yield Change("removed", step, (*path, key), before=before[key])
            else:
                yield from _differences(before[key], after[key], step, (*path, key))
    elif _text(before) != _text(after):
        yield Change("changed", step, path, before, after)


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else _text(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
