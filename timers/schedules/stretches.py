"""Stretches of time: half-open pairs of UTC instants, in lists that are sorted and do not touch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import NamedTuple


class Stretch(NamedTuple):
    """From `begin` to before `end`."""

    begin: datetime
    end: datetime


def merged(stretches: Iterable[Stretch]) -> list[Stretch]:
    """The same time in as few stretches as possible, sorted; empty ones fall away."""
    result: list[Stretch] = []
    for begin, end in sorted(stretches):
        if begin >= end:
            continue
        if result and begin <= result[-1].end:
            result[-1] = Stretch(result[-1].begin, max(end, result[-1].end))
        else:
            result.append(Stretch(begin, end))
    return result


def within(stretches: Iterable[Stretch], begin: datetime, end: datetime) -> list[Stretch]:
    """What of these lies from `begin` to before `end`."""
    return [
        Stretch(max(stretch.begin, begin), min(stretch.end, end))
        for stretch in stretches
        if stretch.begin < end and stretch.end > begin
    ]


def between(stretches: Iterable[Stretch], begin: datetime, end: datetime) -> Iterator[Stretch]:
    """What from `begin` to before `end` lies in none of these, which are sorted and do not touch."""
    for stretch in stretches:
        if stretch.begin > begin:
            yield Stretch(begin, min(stretch.begin, end))
        begin = max(begin, stretch.end)
        if begin >= end:
            return
    if begin < end:
        yield Stretch(begin, end)


def without(stretches: Iterable[Stretch], others: list[Stretch]) -> list[Stretch]:
    """What of these lies in none of the others."""
    return [rest for begin, end in stretches for rest in between(within(others, begin, end), begin, end)]
