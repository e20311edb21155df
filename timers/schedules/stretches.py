"""Stretches of time: half-open pairs of UTC instants, in lists that are sorted and do not touch."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from operator import itemgetter
from typing import NamedTuple

_begin, _end = itemgetter(0), itemgetter(1)


class Stretch(NamedTuple):
    """From `begin` to before `end`."""

    begin: datetime
    end: datetime


def merged(stretches: Iterable[Stretch]) -> list[Stretch]:
    """Return the same time in as few stretches as possible, sorted; empty ones are dropped."""
    result: list[Stretch] = []
    for begin, end in sorted(stretches):
        if begin >= end:
            continue
        if result and begin <= result[-1].end:
            result[-1] = Stretch(result[-1].begin, max(end, result[-1].end))
        else:
            result.append(Stretch(begin, end))
    return result


def within(stretches: Sequence[Stretch], begin: datetime, end: datetime) -> list[Stretch]:
    """Return the parts of these stretches, which are sorted and disjoint, from `begin` to before `end`."""
    # For a month of minutes, this is called thousands of times.
    first = bisect_right(stretches, begin, key=_end)
    last = bisect_left(stretches, end, lo=first, key=_begin)
    return [Stretch(max(each.begin, begin), min(each.end, end)) for each in stretches[first:last]]


def between(stretches: Iterable[Stretch], begin: datetime, end: datetime) -> Iterator[Stretch]:
    """Yield the time from `begin` to before `end` that lies in none of these, which are sorted and do not touch."""
    for stretch in stretches:
        if stretch.begin > begin:
            yield Stretch(begin, min(stretch.begin, end))
        begin = max(begin, stretch.end)
        if begin >= end:
            return
    if begin < end:
        yield Stretch(begin, end)


def without(stretches: Iterable[Stretch], others: list[Stretch]) -> list[Stretch]:
    """Yield the parts of these that lie in none of the others."""
    return [rest for begin, end in stretches for rest in between(within(others, begin, end), begin, end)]
