"""Arguments of the command line, in the form of the client's methods."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import Any

from timers_client.errors import TimersError


def given(arguments: argparse.Namespace, names: Iterable[str]) -> dict[str, Any]:
    """Return the given fields: those with options of their own, and those of --set."""
    named = {name: getattr(arguments, name) for name in names if hasattr(arguments, name)}
    return {**dict(getattr(arguments, "others", ())), **named}


def changes(arguments: argparse.Namespace, names: Iterable[str]) -> dict[str, Any]:
    """Return the fields to change. Raises TimersError if there are none."""
    found = given(arguments, names)
    if not found:
        raise TimersError("say what is to be changed, such as --description TEXT or --set priority=5")
    return found
