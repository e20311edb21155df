"""Notes: parts of a job chain without a counterpart, or with one that behaves differently; each with its location."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from timers.domain.chains.jobscheduler.xml_text import Element


@dataclass(frozen=True, slots=True)
class Note:
    """One thing to review after an import."""

    file: str
    line: int
    subject: str
    """Attribute or element that the note is about."""
    message: str

    def __str__(self) -> str:
        return f"{self.file}, line {self.line}: {self.subject}: {self.message}"


class Notes:
    """Collects notes in file order."""

    def __init__(self) -> None:
        self._found: list[Note] = []

    def add(self, element: Element, subject: str, message: str) -> None:
        """Add a note about an element."""
        note = Note(element.file, element.line, subject, message)
        if note not in self._found:
            self._found.append(note)

    def attributes(self, element: Element, subject: str, known: Mapping[str, str], taken: Collection[str]) -> None:
        """Add notes about the attributes that are not converted.

        `known`: what to do instead of each, empty if nothing is lost; `taken`: the attributes that are converted.
        """
        for name, value in element.attributes.items():
            if name in taken:
                continue
            words = known.get(name)
            if words is None:
                self.add(element, f"{subject}@{name}", f'"{value[:60]}" is not a known attribute and is ignored.')
            elif words:
                self.add(element, f"{subject}@{name}", words)

    def elements(self, parent: Element, subject: str, known: Mapping[str, str], taken: Collection[str]) -> None:
        """Add notes about the child elements that are not converted; the arguments are those of `attributes`."""
        for child in parent.children:
            if child.name in taken:
                continue
            words = known.get(child.name)
            if words is None:
                self.add(child, f"{subject}/{child.name}", "is not a known element and is ignored.")
            elif words:
                self.add(child, f"{subject}/{child.name}", words)

    def sorted(self) -> tuple[Note, ...]:
        """Return all notes by file and line; notes about the chain come before those about jobs."""
        files = list(dict.fromkeys(note.file for note in self._found))
        return tuple(sorted(self._found, key=lambda note: (files.index(note.file), note.line)))
