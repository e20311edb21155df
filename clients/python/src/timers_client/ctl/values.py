"""Parsers of values on the command line."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


def duration(text: str) -> float | str:
    """Parse a duration: seconds, or ISO 8601 text that is passed to the service."""
    try:
        seconds = float(text)
    except ValueError:
        return text
    return seconds if math.isfinite(seconds) else text


def at_least(least: float, words: str, read: Callable[[str], float] = float) -> Callable[[str], float]:
    """Return a parser of a number that is at least `least`. `words`: name of the value in errors."""

    def number(text: str) -> float:
        try:
            value = read(text)
        except ValueError:
            value = math.nan
        if not value >= least:  # also false for nan
            raise argparse.ArgumentTypeError(f"must be {words} of at least {least:g}")
        return value

    return number


def kind(text: str) -> str:
    """Parse a kind of timer: fixed-rate as on the command line, or fixed_rate as in the service."""
    return text.replace("-", "_")


def pace(text: str) -> float | None:
    """Parse a pace in executions per second, or no limit."""
    return None if text == "none" else float(text)


def keyword(text: str) -> tuple[str, Any]:
    """Parse FIELD=JSON."""
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError("must be FIELD=JSON, such as priority=5")
    return name, _parsed(value)


def json_value(text: str) -> Any:
    """Parse a JSON value; @FILE: from a file, -: from standard input."""
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
