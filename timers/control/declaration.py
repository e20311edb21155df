"""Declarations in code or in a file: groups, timers and chains, and the place where each is written."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from timers.control.names import check_name
from timers.control.request import kind_of, parse_request
from timers.control.spec import TimerSpec
from timers.domain.chains import Chain, parse_chain
from timers.exceptions import InvalidRequest
from timers.schedules.duration import seconds_of
from timers.schedules.instant import EPOCH, format_instant

CODE: Final = "code"
"""The source of timers that are declared next to their handlers."""
FILE_PREFIX: Final = "file:"


@dataclass(frozen=True, slots=True)
class Declaration:
    """A group or a timer that must exist, by the keywords of the Python API."""

    keywords: Mapping[str, Any]
    where: str
    """For people: the function at which it is written, or the file."""
    path: str = ""
    """Path within a file, such as timers[3]; field names are prefixed with it."""
    lines: Mapping[str, int] = field(default_factory=dict, repr=False, compare=False)
    """Line numbers of a file by the paths of its values."""

    def spec(self) -> TimerSpec:
        """Return the declared timer; repeated calls return the same spec. Raise InvalidRequest that names the place.

        A rate without start_at is counted from 1970, not from now, so that no instant depends on who reconciles, or
        when.
        """
        request = {"kind": kind_of(self.keywords), **self.keywords}
        try:
            if "after" in request:
                raise InvalidRequest("after", "counts from the call, and a declaration is read at each start: give at")
            if request["kind"] == "rrule" and request.get("start_at") is None:
                raise InvalidRequest("start_at", "is missing: a declared rule needs a fixed instant to count from")
            return parse_request(request, EPOCH, looks_up=False)
        except InvalidRequest as error:
            raise self.located(error) from None

    def as_json(self) -> str:
        """Return the keywords as they are stored with the timer; parsed again they give the same spec."""
        return json.dumps(self.keywords, default=_plain, separators=(",", ":"))

    def as_kept(self) -> Any:
        """Return the keywords as they are read back from storage."""
        return json.loads(self.as_json())

    @property
    def place(self) -> str:
        """Where it is written, as text."""
        return self._place_of(self.path)

    def located(self, error: InvalidRequest) -> InvalidRequest:
        """Return the error with the place of each problem added."""
        return InvalidRequest.combined(
            InvalidRequest(path := self._path_of(problem.field), f"{problem.message} - {self._place_of(path)}")
            for problem in error.problems
        )

    def _path_of(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name

    def _place_of(self, path: str) -> str:
        while path and path not in self.lines:
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return f"{self.where}, line {self.lines[path]}" if path else self.where


@dataclass(frozen=True, slots=True)
class Declared:
    """Everything that one source declares."""

    source: str
    """CODE, or FILE_PREFIX and a name."""
    timers: Sequence[Declaration]
    groups: Sequence[Declaration] = ()
    """The groups; their keywords are `name` and the fields of create_group."""
    chains: Sequence[Declaration] = ()
    """The chains; their keywords are `group`, `name` and `definition`."""

    def specs(self) -> dict[tuple[str, str], tuple[Declaration, TimerSpec]]:
        """Return the timers by group and name. Raise one InvalidRequest for all errors."""
        found: dict[tuple[str, str], tuple[Declaration, TimerSpec]] = {}
        problems: list[InvalidRequest] = []
        for declaration in self.timers:
            try:
                spec = declaration.spec()
            except InvalidRequest as error:
                problems.append(error)
                continue
            if (spec.group, spec.name) in found:
                first = found[spec.group, spec.name][0]
                twice = InvalidRequest(
                    "name", f"comes twice in group {spec.group} (first: {first.place})", given=spec.name
                )
                problems.append(declaration.located(twice))
            found.setdefault((spec.group, spec.name), (declaration, spec))
        if problems:
            raise InvalidRequest.combined(problems)
        return found

    def definitions(self) -> dict[tuple[str, str], tuple[Declaration, Chain]]:
        """Return the chains by group and name. Raise one InvalidRequest for all errors."""
        found: dict[tuple[str, str], tuple[Declaration, Chain]] = {}
        problems: list[InvalidRequest] = []
        for declaration in self.chains:
            given = declaration.keywords
            try:
                name = check_name("name", given["name"])
                found[given["group"], name] = (declaration, parse_chain(given["definition"]))
            except InvalidRequest as error:
                problems.append(declaration.located(error))
        if problems:
            raise InvalidRequest.combined(problems)
        return found


def check_source(name: Any) -> str:
    """Return the source name of a file. Raise InvalidRequest if the name is invalid."""
    return FILE_PREFIX + check_name("name", name)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return format_instant(value)
    if isinstance(value, timedelta):
        return seconds_of(value // timedelta(microseconds=1))
    if isinstance(value, Decimal):
        return float(value)
    raise TypeError(f"{type(value).__name__} is not JSON")
