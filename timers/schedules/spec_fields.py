"""The fields of a spec: all that are needed are there, and no others but those that may be."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from typing import Any

from timers.exceptions import SpecError


def require_fields(spec: Mapping[str, Any], kind: str, *names: str, optional: Collection[str] = ()) -> None:
    """Raise SpecError, naming every field that is missing from the spec or has no place in it."""
    if spec.keys() == set(names):
        return
    allowed = (*names, *optional)
    problems = [SpecError(name, f"is missing: a {kind} schedule needs it") for name in names if name not in spec]
    problems += [
        SpecError(
            str(name)[:64],
            f"is no field of a {kind} schedule{_did_you_mean(name, allowed)}; allowed: {', '.join(allowed)}",
        )
        for name in list(spec)[:20]
        if name not in allowed
    ]
    if problems:
        raise SpecError.combined(problems)


def _did_you_mean(name: Any, allowed: Collection[str]) -> str:
    """Also for dayOfMonth, as day_of_month is called where names are written in one word."""
    by_letters = {known.replace("_", ""): known for known in allowed}
    letters = str(name)[:64].replace("_", "").replace("-", "").lower()
    near = difflib.get_close_matches(letters, by_letters, n=1, cutoff=0.75)
    return f", did you mean {by_letters[near[0]]}?" if near else ""
