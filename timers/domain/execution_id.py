"""The id of an execution identifies its occurrence: a version 8 UUID (RFC 9562) that contains instant and timer.

    48 bits  unix milliseconds of scheduled_for
     4 bits  version (8)
    10 bits  microseconds within the millisecond
     2 bits  origin (schedule, manual, backfill, replay)
     2 bits  variant
    44 bits  timer id
     8 bits  ordinal (of scheduled fires: of the subscription that it is for, 0 without one; otherwise any free one,
             with the highest bit set if it may run at the same time as others of its timer)
    10 bits  seq: 0 for the execution and its one final ledger row, n for the row of its n-th attempt

A scheduled fire always gets the same id, whoever computes it and however often, so the database itself refuses a second
final outcome. Ids sort by time, select their partition of the ledger, and contain timer and instant without a lookup.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

ORIGINS: Final = ("schedule", "manual", "backfill", "replay")
"""Why an execution exists, in the order of the two origin bits."""

MAX_TIMER_ID: Final = (1 << 44) - 1
MAX_TRIES: Final = (1 << 10) - 1
"""Highest attempt number that fits into an id; policies allow 1,000."""

ORDINALS: Final = 256
OVERLAPPING: Final = 128
"""First ordinal of manual, backfilled and replayed runs that may overlap with others."""

_BACKFILL: Final = "26ae"
"""Values, for a backfill, of the hexadecimal digit that contains the two origin bits."""
_FIXED_BITS: Final = (8 << 76) | (0b10 << 62)
_ORDINAL_AND_SEQ: Final = (1 << 18) - 1
_ORIGIN_BITS: Final = {origin: bits << 64 for bits, origin in enumerate(ORIGINS)}


@dataclass(frozen=True, slots=True)
class Occurrence:
    """Content of an execution id. Instants are microseconds since 1970 UTC."""

    scheduled_us: int
    timer_id: int
    origin: str
    ordinal: int
    seq: int


def execution_id(scheduled_us: int, timer_id: int, origin: str = "schedule", ordinal: int = 0) -> str:
    """Return the id of the execution of `timer_id` at `scheduled_us` (microseconds since 1970 UTC) as UUID text."""
    milliseconds, microseconds = divmod(scheduled_us, 1000)
    return _canonical(
        milliseconds << 80 | microseconds << 66 | _ORIGIN_BITS[origin] | _FIXED_BITS | timer_id << 18 | ordinal << 10
    )


def try_id(execution: str, attempt: int) -> str:
    """Return the ledger id of an attempt (1 to 1000) of an execution."""
    return _canonical(int(execution.replace("-", ""), 16) | attempt)


def occurrence_of(execution: str) -> str:
    """Return the id that all executions of one occurrence share: the one with ordinal 0."""
    if execution[-4:] == "0000" and execution[-5] in "048c":
        return execution
    return _canonical(int(execution.replace("-", ""), 16) & ~_ORDINAL_AND_SEQ)


def with_ordinal(occurrence: str, ordinal: int) -> str:
    """Return the id of the occurrence's execution for the subscription with that ordinal."""
    return _canonical(int(occurrence.replace("-", ""), 16) | ordinal << 10)


def may_overlap(execution: str) -> bool:
    """Whether its caller allowed it to run at the same time as others of its timer."""
    occurrence = parse(execution)
    return occurrence.origin != "schedule" and occurrence.ordinal >= OVERLAPPING


def open_as(execution: str) -> str:
    """Return the id under which a timer waits for an execution: its occurrence's; for a backfill, its own."""
    return execution if execution[17] in _BACKFILL else occurrence_of(execution)


def ids_open_as(open_execution: str, ordinals: Iterable[int]) -> set[str]:
    """Return all ids of executions that a timer may wait for under one id. `ordinals`: those of the group's
    subscriptions."""
    origin = parse(open_execution).origin
    if origin == "backfill":
        return {open_execution}
    possible = {0, *ordinals} if origin == "schedule" else range(ORDINALS)
    return {with_ordinal(open_execution, ordinal) for ordinal in possible}


def parse(execution: str) -> Occurrence:
    """Parse an id. Raises ValueError if the text is not an execution id."""
    bits = int(execution.replace("-", ""), 16)
    if bits >> 128 or (bits >> 76) & 0xF != 8 or (bits >> 62) & 0b11 != 0b10:
        raise ValueError(f"{execution!r} is not an execution id")
    return Occurrence(
        scheduled_us=(bits >> 80) * 1000 + ((bits >> 66) & 0x3FF),
        timer_id=(bits >> 18) & MAX_TIMER_ID,
        origin=ORIGINS[(bits >> 64) & 0b11],
        ordinal=(bits >> 10) & 0xFF,
        seq=bits & MAX_TRIES,
    )


def origin_of(execution: str) -> str:
    """Return the origin in an execution id, without parsing the rest of it."""
    return ORIGINS[int(execution[17], 16) & 0b11]


def lower_bound(instant_us: int) -> str:
    """Return the smallest UUID of all executions at or after an instant, as a bound of partitions and time filters."""
    return _canonical((instant_us // 1000) << 80)


def _canonical(bits: int) -> str:
    digits = f"{bits:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
