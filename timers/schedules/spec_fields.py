"""The fields of a spec: all that are needed are there, and no others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from timers.exceptions import SpecError


def require_fields(spec: Mapping[str, Any], kind: str, *names: str) -> None:
    """Raise SpecError, naming every field that is missing from the spec or has no place in it."""
    if spec.keys() == set(names):
        return
    problems = [SpecError(name, f"is missing: a {kind} schedule needs it") for name in names if name not in spec]
    allowed = ", ".join(names)
    problems += [
        SpecError(str(name)[:64], f"is no field of a {kind} schedule; allowed: {allowed}")
        for name in list(spec)[:20]
        if name not in names
    ]
    raise SpecError.combined(problems)
