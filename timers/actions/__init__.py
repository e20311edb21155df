"""Actions: what runs when a timer fires. One file each; a new kind is one file and one line in KINDS."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from timers.actions.chain import ChainAction
from timers.actions.entry import EntryAction
from timers.actions.http import HttpAction
from timers.actions.pull import PullAction
from timers.actions.python import PythonAction
from timers.domain.errors import ErrorCollector
from timers.exceptions import InvalidRequest

Action = PythonAction | HttpAction | EntryAction | PullAction | ChainAction
"""Union of all actions."""

KINDS: Final[dict[str, type[Action]]] = {
    PythonAction.kind: PythonAction,
    HttpAction.kind: HttpAction,
    EntryAction.kind: EntryAction,
    PullAction.kind: PullAction,
    ChainAction.kind: ChainAction,
}


def read(spec: Any, mistakes: ErrorCollector) -> Action | None:
    """Read an action from its JSON form as far as possible; errors are collected."""
    if not isinstance(spec, Mapping):
        example = '{"kind": "python", "handler": "vendors.process"}'
        mistakes.add(InvalidRequest("action", f"must be an object such as {example}", given=spec))
        return None
    kind = spec.get("kind", PythonAction.kind)
    action = KINDS.get(kind) if isinstance(kind, str) else None
    if action is None:
        mistakes.add(InvalidRequest("action.kind", f"must be one of {', '.join(KINDS)}", given=kind))
        return None
    return action.read(spec, mistakes)


def parse(spec: Mapping[str, Any]) -> Action:
    """Parse the JSON form of an action. Raises one InvalidRequest for all errors."""
    mistakes = ErrorCollector()
    action = read(spec, mistakes)
    mistakes.raise_if_any()
    assert action is not None
    return action


@lru_cache(maxsize=1024)
def parse_text(spec_text: str) -> Action:
    """Parse an action from JSON text, cached: the engine's rows contain text, and few actions serve many timers."""
    try:
        spec = json.loads(spec_text)
    except ValueError:
        raise InvalidRequest("action", "is not JSON", given=spec_text) from None
    return parse(spec)
