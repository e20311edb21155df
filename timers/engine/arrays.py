"""Column arrays for `unnest`: a batch is written by one statement whatever its size.

The arrays are handed over as PostgreSQL array literals. The driver's own list adaptation costs about a microsecond per
element, which is most of what a write costs; a join costs a tenth of that.
"""

from __future__ import annotations

from collections.abc import Iterable


def plain_array(values: Iterable[object]) -> str:
    """An array literal of numbers, UUIDs or bare words; None is NULL."""
    return "{" + ",".join(["NULL" if value is None else str(value) for value in values]) + "}"


def text_array(values: Iterable[str | None]) -> str:
    """An array literal of any text; None is NULL."""
    return "{" + ",".join(["NULL" if value is None else _quoted(value) for value in values]) + "}"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


MICROSECONDS_TO_TIMESTAMP = "(TIMESTAMPTZ 'epoch' + {} * INTERVAL '1 microsecond')"
"""SQL for a bigint of microseconds since 1970 UTC; unlike to_timestamp(double) exact, up to the year 2255.

An interval is multiplied in floating point: beyond it is exact for whole seconds, and within 32 us for all others."""


def timestamp(column: str) -> str:
    """SQL that reads a bigint column of microseconds since 1970 UTC as timestamptz."""
    return MICROSECONDS_TO_TIMESTAMP.format(column)
