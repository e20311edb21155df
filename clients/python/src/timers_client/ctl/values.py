"""How values of the command line are read."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


def duration(text: str) -> float | str:
    """Seconds, or text that the service reads as ISO 8601."""
    try:
        seconds = float(text)
    except ValueError:
        return text
    return seconds if math.isfinite(seconds) else text


def at_least(least: float, words: str, read: Callable[[str], float] = float) -> Callable[[str], float]:
    """A number that is at least so much; `words`: what it is called."""

    def number(text: str) -> float:
        try:
            value = read(text)
        except ValueError:
            value = math.nan
        if not value >= least:  # nan is neither
            raise argparse.ArgumentTypeError(f"must be {words} of at least {least:g}")
        return value

    return number


def kind(text: str) -> str:
    """A kind of timer: fixed-rate as in the words of the command line, or fixed_rate as the service has it."""
    return text.replace("-", "_")


def pace(text: str) -> float | None:
    """So many a second, or no bound."""
    return None if text == "none" else float(text)


def keyword(text: str) -> tuple[str, Any]:
    """FIELD=JSON."""
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError("must be FIELD=JSON, such as priority=5")
    return name, _parsed(value)


def json_value(text: str) -> Any:
    """A JSON value; @FILE: from a file, -: from standard input."""
    if text == "-":
        return _parsed(sys.stdin.read())
    if text.startswith("@"):
        try:
            return _parsed(Path(text[1:]).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise argparse.ArgumentTypeError(f"cannot be read: {error}") from None
    return _parsed(text)


def _parsed(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_no_constant)
    except ValueError:
        raise argparse.ArgumentTypeError('must be JSON, such as {"a": 1}, or "text" with its quotes') from None


def _no_constant(word: str) -> Any:
    raise ValueError(f"{word} is no JSON")
