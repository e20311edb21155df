"""Actions: what runs when a timer fires. One file for each kind; `register` in action.py adds one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from timers.actions.action import KINDS, Action, kind_named, register
from timers.actions.python import PythonAction
from timers.domain.errors import ErrorCollector
from timers.exceptions import InvalidRequest

# isort: off
# The kinds register themselves, in the order in which they are listed everywhere.
from timers.actions import python, http, remote_handler, pull, chain  # noqa: F401
# isort: on

__all__ = ["KINDS", "Action", "parse", "parse_text", "read", "register"]


def read(spec: Any, mistakes: ErrorCollector) -> Action | None:
    """Read an action from its JSON form as far as possible; errors are collected."""
    if not isinstance(spec, Mapping):
        example = '{"kind": "python", "handler": "vendors.process"}'
        mistakes.add(InvalidRequest("action", f"must be an object such as {example}", given=spec))
        return None
    kind = spec.get("kind", PythonAction.kind)
    action = kind_named(kind)
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
