"""YAML for people who write files by hand: plain values and their lines, without YAML's surprises.

Only what JSON has too: mappings with text keys, lists, text, numbers, true, false, null. Rejected are anchors and
aliases (a few lines of them can expand to gigabytes), tags (which name types of a program), merge keys, duplicate keys,
a second document, and numbers with leading zeros, which YAML 1.1 reads as octal. `yes`, `12:30` and `2026-01-31`, which
YAML 1.1 interprets otherwise, are the text that they look like.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from timers.exceptions import InvalidRequest

MAX_DEPTH: Final = 40
MAX_DIGITS: Final = 1000

_Parser: Any = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
_WORDS: Final[Mapping[str, Any]] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip
_WHOLE: Final = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_LEADING_ZERO: Final = re.compile(r"[-+]?0[0-9]+")
_FRACTION: Final = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_QUOTE_IT: Final = "text that begins with * or & needs quotes"


@dataclass(frozen=True, slots=True)
class Document:
    """A file's value, and the lines on which its parts begin, by path: `timers[3].expression`."""

    file: str
    value: Any
    lines: Mapping[str, int]

    def error(self, path: str, message: str, *given: Any) -> InvalidRequest:
        """Return the error for the value at a path."""
        return _error(self.file, path, message, self.lines.get(path), *given)


def read_yaml(text: str, file: str) -> Document:
    """Return the only document of the text. Raise InvalidRequest naming file, line and path of the error."""
    building = _Building(file)
    parser = _Parser(text)
    try:
        while parser.check_event():
            building.take(parser.get_event())
    except yaml.MarkedYAMLError as error:
        alias = "alias" in str(error.context) or "anchor" in str(error.context)
        why = _QUOTE_IT if alias else f"is not YAML: {error.problem}"
        line = None if error.problem_mark is None else error.problem_mark.line + 1
        raise _error(file, building.path, why, line) from None
    except yaml.YAMLError as error:
        raise _error(file, building.path, f"is not YAML: {getattr(error, 'reason', error)}", None) from None
    finally:
        parser.dispose()
    if not building.documents:
        return Document(file, None, {"": 1})
    return Document(file, building.value, building.lines)


@dataclass(slots=True)
class _Part:
    """A mapping or list that is being read."""

    path: str
    value: Any
    key: str | None = None
    """The key of the next value."""


@dataclass(slots=True)
class _Building:
    """Builds the value from the parser's events, without recursion."""

    file: str
    value: Any = None
    lines: dict[str, int] = field(default_factory=dict)
    documents: int = 0
    _open: list[_Part] = field(default_factory=list)

    @property
    def path(self) -> str:
        """The path of the next value."""
        if not self._open:
            return ""
        part = self._open[-1]
        if isinstance(part.value, list):
            return f"{part.path}[{len(part.value)}]"
        return part.path if part.key is None else _below(part.path, part.key)

    def take(self, event: Any) -> None:
        line = event.start_mark.line + 1
        if isinstance(event, yaml.DocumentStartEvent):
            self.documents += 1
            if self.documents > 1:
                raise self._error("holds a second document; write one file for each", line)
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            self._open.pop()
        elif isinstance(event, yaml.NodeEvent):
            self._refuse_surprises(event, line)
            if isinstance(event, yaml.ScalarEvent):
                self._scalar(event, line)
            else:
                self._start({} if isinstance(event, yaml.MappingStartEvent) else [], line)

    def _refuse_surprises(self, event: Any, line: int) -> None:
        if event.anchor is not None:
            what = "an alias" if isinstance(event, yaml.AliasEvent) else "an anchor"
            raise self._error(f"has {what}, which is not taken: write the value out ({_QUOTE_IT})", line)
        if event.tag is not None:
            raise self._error(f"has the tag {event.tag}, which is not taken: write a plain value", line)

    def _start(self, value: Any, line: int) -> None:
        if self._awaits_key:
            raise self._error("has a key that is no text", line)
        if len(self._open) == MAX_DEPTH:
            raise self._error(f"is nested more than {MAX_DEPTH} levels deep", line)
        path = self.path
        self._put(value, line)
        self._open.append(_Part(path, value))

    def _scalar(self, event: Any, line: int) -> None:
        value = event.value if event.style else self._plain(event.value, line)
        if not self._awaits_key:
            self._put(value, line)
            return
        part = self._open[-1]
        if not isinstance(value, str):
            raise self._error(f"has the key {event.value}, which is no text: write it in quotes", line)
        if value == "<<" and not event.style:
            raise self._error("has a merge key (<<), which is not taken: write the fields out", line)
        path = _below(part.path, value)
        if value in part.value:
            raise _error(self.file, path, f"comes twice (first on line {self.lines[path]})", line)
        part.key = value
        self.lines[path] = line

    @property
    def _awaits_key(self) -> bool:
        return bool(self._open) and isinstance(self._open[-1].value, dict) and self._open[-1].key is None

    def _put(self, value: Any, line: int) -> None:
        self.lines.setdefault(self.path, line)
        if not self._open:
            self.value = value
        elif isinstance(self._open[-1].value, list):
            self._open[-1].value.append(value)
        else:
            part = self._open[-1]
            part.value[part.key] = value
            part.key = None

    def _plain(self, text: str, line: int) -> Any:
        if text in _WORDS:
            return _WORDS[text]
        if _LEADING_ZERO.fullmatch(text):
            raise self._error("has a leading zero: leave it away, or write it in quotes if it is text", line, text)
        if _WHOLE.fullmatch(text):
            if len(text) > MAX_DIGITS:
                raise self._error(f"is a number of more than {MAX_DIGITS:,} digits; write it in quotes", line)
            return int(text)
        if not _FRACTION.fullmatch(text):
            return text
        if not math.isfinite(number := float(text)):
            raise self._error("is a number out of range; write it in quotes if it is text", line, text)
        return number

    def _error(self, message: str, line: int, *given: Any) -> InvalidRequest:
        return _error(self.file, self.path, message, line, *given)


def _below(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _error(file: str, path: str, message: str, line: int | None, *given: Any) -> InvalidRequest:
    said = InvalidRequest("", message, given=given[0]).problems[0].message if given else message
    return InvalidRequest(path or "file", f"{said} - {file}" + (f", line {line}" if line is not None else ""))
