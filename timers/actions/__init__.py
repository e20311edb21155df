"""Actions: what is done at a fire. One file each; a further kind is one file and one line in KINDS."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from timers.actions.entry import EntryAction
from timers.actions.http import HttpAction
from timers.actions.pull import PullAction
from timers.actions.python import PythonAction
from timers.exceptions import SpecError

Action = PythonAction | HttpAction | EntryAction | PullAction
"""The union of all actions."""

KINDS: Final[dict[str, type[Action]]] = {
    PythonAction.kind: PythonAction,
    HttpAction.kind: HttpAction,
    EntryAction.kind: EntryAction,
    PullAction.kind: PullAction,
}


def parse(spec: Mapping[str, Any]) -> Action:
    """Read the JSON form of an action; raises SpecError naming the field that is wrong."""
    if not isinstance(spec, Mapping):
        raise SpecError(
            "action", 'must be an object such as {"kind": "python", "handler": "vendors.process"}', given=spec
        )
    kind = spec.get("kind", PythonAction.kind)
    action = KINDS.get(kind) if isinstance(kind, str) else None
    if action is None:
        raise SpecError("action.kind", f"must be one of {', '.join(KINDS)}", given=kind)
    return action.parse(spec)


@lru_cache(maxsize=1024)
def parse_text(spec_text: str) -> Action:
    """The same from JSON text, cached: the engine's rows come as text and few actions serve many timers."""
    try:
        spec = json.loads(spec_text)
    except ValueError:
        raise SpecError("action", "is not JSON", given=spec_text) from None
    return parse(spec)
