"""Schedule up to 10,000 timers in one call. Each has its own result; an error in one does not affect the others."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal

from django.http import HttpRequest, HttpResponse
from ninja import Router
from pydantic import BaseModel, Field

from timers.api import strict_json
from timers.api.authentication import caller
from timers.api.problems import FieldProblemAnswer, Problem, not_found
from timers.api.route import route
from timers.api.strict_body import JSON_TYPES
from timers.api.timer_body import BULK_REQUEST
from timers.api.timers import TIMERS
from timers.control.audit import FIRST, Entry, audited
from timers.control.create import Created, create_each
from timers.control.create_checks import too_costly
from timers.control.groups import FoundGroups, look_up_groups
from timers.control.request import parse_request
from timers.control.spec import TimerSpec
from timers.domain.errors import ErrorCollector
from timers.engine.cpu_budget import CpuBudget
from timers.exceptions import FieldProblem, InvalidRequest, QuotaExceeded

router = Router(tags=["timers"])
MOST: Final = 10_000
LINES: Final = "application/x-ndjson"
_SEVERAL: Final = re.compile(rb"\}\s*\{")
_STRIPPED: Final = "; are the ends of lines gone? curl keeps them with --data-binary, and not with -d"
CPU_SECONDS: Final = 1.0
CPU_SECONDS_EACH: Final = 0.000_5
"""CPU seconds of one call: a fixed amount, plus this for each request; a usual rule costs a third of it."""
_TOLD: Final = 100
"""Maximum number of errors that the refusal of a whole call lists."""


class BulkResult(BaseModel):
    """Result of one request."""

    index: int = Field(description="Its place in the call, from 0.")
    name: str | None
    result: Literal["created", "replaced", "kept", "refused"]
    next_fire_at: datetime | None = None
    in_flight: list[str] = Field(
        default=[], description="Of a replaced timer: claimed executions that the change came too late for."
    )
    errors: list[FieldProblemAnswer] = []


class BulkAnswer(BaseModel):
    """Results of all requests."""

    created: int
    replaced: int
    kept: int
    refused: int
    results: list[BulkResult]


@dataclass(slots=True)
class _Call:
    """One bulk call: the valid specs by their position, and the errors of the other requests."""

    group: str
    found: FoundGroups
    on_conflict: str
    actor: str
    budget: CpuBudget
    names: dict[int, str | None] = field(default_factory=dict)
    specs: dict[int, TimerSpec] = field(default_factory=dict)
    mistakes: dict[int, InvalidRequest] = field(default_factory=dict)
    created: dict[int, Created] = field(default_factory=dict)

    def read(self, requests: Iterator[Any], now: datetime) -> None:
        for index, request in enumerate(requests):
            if index >= MOST:
                raise Problem("too_large", f"A call may schedule at most {MOST:,} timers; send the rest in another.")
            try:
                self.budget.grant(CPU_SECONDS_EACH)
                self.budget.charge()
                if self.budget.is_spent:
                    raise too_costly()
                if isinstance(request, InvalidRequest):
                    raise request
                if not isinstance(request, Mapping):
                    raise InvalidRequest("body", "must be an object", given=request)
                name = request.get("name")
                self.names[index] = name if isinstance(name, str) else None
                self.specs[index] = self._read(request, now)
            except InvalidRequest as error:
                self.mistakes[index] = error

    def _read(self, request: Mapping[str, Any], now: datetime) -> TimerSpec:
        mistakes = ErrorCollector()
        if request.get("group", self.group) != self.group:
            mistakes.add(
                InvalidRequest("group", "is said by the address, and it is another there", given=request["group"])
            )
        spec = mistakes.check(lambda: parse_request({**request, "group": self.group}, now))
        mistakes.raise_if_any()
        return spec

    def write(self) -> None:
        """Create the timers of the valid requests."""
        indexes, specs = list(self.specs), list(self.specs.values())
        became = create_each(
            specs, on_conflict=self.on_conflict, actor=self.actor, found=self.found, budget=self.budget
        )
        for index, each in zip(indexes, became, strict=True):
            if isinstance(each, InvalidRequest):
                self.mistakes[index] = each
            else:
                self.created[index] = each

    def tell(self, entry: Entry) -> None:
        """Write one audit entry for all timers, as schedule_many does."""
        by_result = {
            word: [each.name for each in self.created.values() if each.result == word]
            for word in ("created", "replaced")
        }
        if not any(by_result.values()):
            entry.nothing()
        entry.told(**{word: len(names) for word, names in by_result.items()}, refused=len(self.mistakes))
        entry.told(first=sorted(name for names in by_result.values() for name in names)[:FIRST])

    def results(self) -> list[BulkResult]:
        return [self._result(index) for index in sorted({**self.created, **self.mistakes})]

    def refusal(self) -> Problem:
        """Return all errors as one problem; each field is prefixed with the position of its request."""
        problems = [
            FieldProblem(f"{index}.{problem.field}", problem.message)
            for index, error in sorted(self.mistakes.items())
            for problem in error.problems
        ]
        words = f"{len(self.mistakes):,} of the requests are refused; nothing was written."
        is_quota = all(isinstance(error, QuotaExceeded) for error in self.mistakes.values())
        return Problem("quota" if is_quota else "invalid", words, problems[:_TOLD])

    def _result(self, index: int) -> BulkResult:
        created = self.created.get(index)
        if created is not None:
            further: dict[str, Any] = {"in_flight": list(created.in_flight)} if created.in_flight else {}
            return BulkResult.model_construct(
                index=index, name=created.name, result=created.result, next_fire_at=created.next_fire_at, **further
            )
        errors = [
            FieldProblemAnswer(field=problem.field, message=problem.message)
            for problem in self.mistakes[index].problems
        ]
        return BulkResult.model_construct(index=index, name=self.names.get(index), result="refused", errors=errors)


# An invalid request is reported in its own result, so no field is required here.
_EACH: Final = {"anyOf": [BULK_REQUEST, {"description": "Anything else is refused by itself."}]}
_REQUEST_BODY: Final = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {"type": "array", "maxItems": MOST, "items": _EACH}},
            LINES: {"schema": {"type": "string", "description": "One request a line."}},
        },
    }
}


@route(router, "POST", f"{TIMERS}/bulk", scope="schedule", answer=BulkAnswer, openapi=_REQUEST_BODY)
def create_in_bulk(
    request: HttpRequest,
    group: str,
    atomic: bool = False,
    on_conflict: Literal["reject", "replace", "keep"] = "reject",
) -> BulkAnswer | HttpResponse:
    """Schedule up to 10,000 timers.

    A JSON array is answered by one object. Lines (application/x-ndjson) are answered by lines, one for each request.
    With `atomic`, a single error refuses all requests and nothing is saved; without it, each request succeeds or fails
    by itself.
    """
    media_type = (request.content_type or "").lower()
    if media_type not in {*JSON_TYPES, LINES}:
        raise Problem("media_type", f"Send a JSON array, or lines as {LINES} (this is {media_type or 'none'}).")
    found = look_up_groups([group])
    if group not in found.groups:
        raise not_found(f"group {group!r}")
    call = _Call(group, found, on_conflict, caller(request).actor, CpuBudget(CPU_SECONDS))
    call.read(_lines(request) if media_type == LINES else _array(request), found.now_in(group))
    if call.mistakes and atomic:
        raise call.refusal()
    with audited("timer.create_many", call.actor, group=group) as entry:
        call.write()
        if call.mistakes and atomic:
            raise call.refusal()
        call.tell(entry)
    results = call.results()
    if media_type == LINES:
        text = b"".join(result.model_dump_json(exclude_unset=True).encode() + b"\n" for result in results)
        return HttpResponse(text, content_type=LINES)
    said = [result.result for result in results]
    return BulkAnswer.model_construct(
        created=said.count("created"),
        replaced=said.count("replaced"),
        kept=said.count("kept"),
        refused=said.count("refused"),
        results=results,
    )


def _array(request: HttpRequest) -> Iterator[Any]:
    if not request.body.strip():
        raise InvalidRequest("body", "is empty; send an array of requests")
    requests = strict_json.loads(request.body)
    if not isinstance(requests, list):
        raise InvalidRequest("body", "must be an array of requests")
    return iter(requests)


def _lines(request: HttpRequest) -> Iterator[Any]:
    """Yield the requests line by line. For a line that cannot be read, yield the InvalidRequest that says why."""
    lines = [line for line in request.body.split(b"\n") if line.strip()]
    if not lines:
        raise InvalidRequest("body", "is empty; send one request a line")
    for line in lines:
        try:
            yield strict_json.loads(line, one_line=True)
        except strict_json.MalformedJson as error:
            hint = _STRIPPED if len(lines) == 1 and _SEVERAL.search(line) else ""
            yield InvalidRequest("body", f"{error}{hint}")
        except InvalidRequest as error:
            yield error
