"""Column arrays for `unnest`, so that one statement writes a batch of any size.

The arrays are passed as PostgreSQL array literals. The driver's own list adaptation costs about a microsecond per
element, which is most of the cost of a write; a join costs a tenth of that.
"""

from __future__ import annotations

from collections.abc import Iterable


def plain_array(values: Iterable[object]) -> str:
    """Return an array literal of numbers, UUIDs or bare words; None becomes NULL."""
    return "{" + ",".join(["NULL" if value is None else str(value) for value in values]) + "}"


def text_array(values: Iterable[str | None]) -> str:
    """Return an array literal of any text; None becomes NULL."""
    return "{" + ",".join(["NULL" if value is None else _quoted(value) for value in values]) + "}"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


MICROSECONDS_TO_TIMESTAMP = "(TIMESTAMPTZ 'epoch' + {} * INTERVAL '1 microsecond')"
"""SQL for a bigint of microseconds since 1970 UTC. Unlike to_timestamp(double) it is exact, up to the year 2255.

PostgreSQL multiplies an interval in floating point: after 2255 the result is exact for whole seconds, and within 32 us
otherwise.
"""


def timestamp(column: str) -> str:
    """Return SQL that reads a bigint column of microseconds since 1970 UTC as timestamptz."""
    return MICROSECONDS_TO_TIMESTAMP.format(column)
