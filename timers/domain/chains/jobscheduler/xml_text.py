"""XML as a tree of elements with line numbers. Constructs that let a parser do more than read are refused."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final
from xml.parsers import expat

from timers.exceptions import InvalidRequest

MAX_BYTES: Final = 4 * 1024 * 1024
MAX_DEPTH: Final = 40
MAX_ELEMENTS: Final = 100_000


@dataclass(frozen=True, slots=True)
class Source:
    """A file: its display name and its content."""

    file: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Element:
    """One element; text between elements is dropped."""

    name: str
    """Name without its namespace prefix."""
    attributes: dict[str, str]
    """Attributes by name without prefix; declarations of namespaces and schemas are left out."""
    line: int
    file: str
    children: list[Element] = field(default_factory=list)

    @property
    def has_content(self) -> bool:
        """Whether it has any content."""
        return bool(self.attributes or self.children)

    def error(self, subject: str, message: str, *, given: Any = None) -> InvalidRequest:
        """Build an error about this element. `subject`: attribute or element that it is about."""
        said = InvalidRequest(subject, message, given=given).problems[0].message
        return InvalidRequest(subject, f"{said} - {self.file}, line {self.line}")


def read_xml(source: Source) -> Element:
    """Return the root element of a file.

    Raises:
        InvalidRequest: The file is too large, not XML, has a document type (and with it entities), or is nested too
            deeply.
    """
    if len(source.content) > MAX_BYTES:
        raise InvalidRequest("file", f"is larger than {MAX_BYTES // 1024**2} MB. Divide it. - {source.file}")
    return _Reader(source).read()


class _Reader:
    """Builds the tree from the events of expat."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._parser: Any = expat.ParserCreate()
        self._open: list[Element] = []
        self._root: Element | None = None
        self._count = 0
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.StartDoctypeDeclHandler = self._refuse_doctype

    def read(self) -> Element:
        try:
            self._parser.Parse(self._source.content, True)
        except expat.ExpatError as error:
            raise self._error(f"is not XML: {expat.ErrorString(error.code)}. Correct the file.", error.lineno) from None
        except (LookupError, ValueError) as error:  # an encoding that Python does not know
            raise self._error(f"is in an encoding that cannot be read: {error}. Save it as UTF-8.", 1) from None
        assert self._root is not None  # expat refuses a document without an element
        return self._root

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        line = self._parser.CurrentLineNumber
        self._count += 1
        if len(self._open) == MAX_DEPTH or self._count > MAX_ELEMENTS:
            what = "is nested too deeply" if len(self._open) == MAX_DEPTH else "has too many elements"
            raise self._error(f"{what}. It is no file of JobScheduler.", line)
        plain = {_local(key): value for key, value in attributes.items() if not _is_about_xml(key)}
        element = Element(_local(name), plain, line, self._source.file)
        if self._open:
            self._open[-1].children.append(element)
        else:
            self._root = element
        self._open.append(element)

    def _end(self, name: str) -> None:
        self._open.pop()

    def _refuse_doctype(self, *_: Any) -> None:
        what = "has a document type (<!DOCTYPE>), which can define entities and name other files. Remove it."
        raise self._error(what, self._parser.CurrentLineNumber)

    def _error(self, message: str, line: int) -> InvalidRequest:
        return InvalidRequest("file", f"{message} - {self._source.file}, line {line}")


def _local(name: str) -> str:
    return name.rpartition(":")[2]


def _is_about_xml(name: str) -> bool:
    return name == "xmlns" or name.startswith(("xmlns:", "xsi:", "xml:"))
