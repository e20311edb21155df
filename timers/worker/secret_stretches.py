"""Find stretches of known texts in another text, in time linear in its length.

A stretch is found by its windows of eight characters. A window contains four consecutive characters that begin at a
multiple of five, so only every fifth position of the text is looked up, and windows are compared only around hits.

Commonly known windows (well_known.py) can be part of a stretch, but do not form one by themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

STRETCH: Final = 8
"""Minimum number of consecutive characters of a known text that count as a part of it; a shorter text must occur whole.
"""
_PROBE: Final = 4
_STEP: Final = STRETCH - _PROBE + 1


class Stretches:
    """Stretches of the known texts, which are in lower case.

    Args:
        known: the texts.
        common: windows that do not form a stretch, except for texts that have no others.
    """

    def __init__(self, known: Iterable[str], common: frozenset[str] = frozenset()) -> None:
        texts = set(known) - {""}
        self._whole = [text for text in texts if len(text) < STRETCH]
        self._windows: set[str] = set()
        self._probes: set[str] = set()
        kept: set[str] = set()
        for text in texts.difference(self._whole):
            windows = windows_of(text)
            self._windows.update(windows)
            if common.issuperset(windows):
                kept.update(windows)
            self._probes.update([text[at : at + _PROBE] for at in range(len(text) - _PROBE + 1)])
        self._common = (self._windows & common) - kept

    def __bool__(self) -> bool:
        return bool(self._whole or self._windows)

    def found_in(self, text: str) -> Iterator[tuple[int, int]]:
        """Yield the start and the end of each stretch, which may overlap; `text` is in lower case."""
        for whole in self._whole:
            at = text.find(whole)
            while at >= 0:
                yield at, at + len(whole)
                at = text.find(whole, at + len(whole))
        if self._windows:
            yield from self._windows_in(text)

    def _windows_in(self, text: str) -> Iterator[tuple[int, int]]:
        probes, windows, common = self._probes, self._windows, self._common
        last = len(text) - STRETCH
        start = end = -1  # of the stretch that is being extended
        is_common = True
        for probe in range(0, len(text) - _PROBE + 1, _STEP):
            if text[probe : probe + _PROBE] not in probes:
                continue
            for at in range(max(0, probe - _STEP + 1), min(probe, last) + 1):
                window = text[at : at + STRETCH]
                if window not in windows:
                    continue
                if at > end:
                    if not is_common:
                        yield start, end
                    start, is_common = at, True
                end = at + STRETCH
                is_common = is_common and window in common
        if not is_common:
            yield start, end


def windows_of(text: str) -> list[str]:
    """Return the windows of a text in lower case."""
    return [text[at : at + STRETCH] for at in range(len(text) - STRETCH + 1)]
