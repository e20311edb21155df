"""What was given on the command line, as the client's verbs take it."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import Any

from timers_client.errors import TimersError


def given(arguments: argparse.Namespace, names: Iterable[str]) -> dict[str, Any]:
    """Those of some fields that were given by options of their own, and all that were given by --set."""
    named = {name: getattr(arguments, name) for name in names if hasattr(arguments, name)}
    return {**dict(getattr(arguments, "others", ())), **named}


def changes(arguments: argparse.Namespace, names: Iterable[str]) -> dict[str, Any]:
    """What is to be changed; raises TimersError where that is nothing."""
    found = given(arguments, names)
    if not found:
        raise TimersError("say what is to be changed, such as --description TEXT or --set priority=5")
    return found
