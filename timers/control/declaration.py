"""What is declared in code or in a file: groups, timers and chains, and where each of them is written."""

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
"""The source of what is declared beside handlers."""
FILE_PREFIX: Final = "file:"


@dataclass(frozen=True, slots=True)
class Declaration:
    """A group or a timer that shall be there, by the keywords of the Python API."""

    keywords: Mapping[str, Any]
    where: str
    """For people: the function that it is written at, or the file."""
    path: str = ""
    """Within a file, such as timers[3]; fields are named by it."""
    lines: Mapping[str, int] = field(default_factory=dict, repr=False, compare=False)
    """The lines of a file by the paths of what stands there."""

    def spec(self) -> TimerSpec:
        """The timer that is asked for, the same whenever it is asked; raises InvalidRequest that names the place.

        A rate without start_at is counted from 1970, not from now: whoever reconciles, and when, changes no instant.
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
        """The keywords as they are kept with the timer; read again they give the same spec."""
        return json.dumps(self.keywords, default=_plain, separators=(",", ":"))

    def as_kept(self) -> Any:
        """The keywords as they come back from where they are kept."""
        return json.loads(self.as_json())

    @property
    def place(self) -> str:
        """Where it is written, in words."""
        return self._place_of(self.path)

    def located(self, error: InvalidRequest) -> InvalidRequest:
        """The same error, with the place of each problem."""
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
    """All that one source declares."""

    source: str
    """CODE, or FILE_PREFIX and a name."""
    timers: Sequence[Declaration]
    groups: Sequence[Declaration] = ()
    """Their keywords are `name` and the fields of create_group."""
    chains: Sequence[Declaration] = ()
    """Their keywords are `group`, `name` and `definition`."""

    def specs(self) -> dict[tuple[str, str], tuple[Declaration, TimerSpec]]:
        """The timers by group and name; raises one InvalidRequest for all that is wrong with any of them."""
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
        """The chains by group and name; raises one InvalidRequest for all that is wrong with any of them."""
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
    """The name of a file's source; raises InvalidRequest."""
    return FILE_PREFIX + check_name("name", name)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return format_instant(value)
    if isinstance(value, timedelta):
        return seconds_of(value // timedelta(microseconds=1))
    if isinstance(value, Decimal):
        return float(value)
    raise TypeError(f"{type(value).__name__} is not JSON")
