"""Field types of bodies and queries. Strict (the text "5" is not a number), with the service's own parsers."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    WithJsonSchema,
)
from pydantic_core import CoreSchema, core_schema

from timers.domain.json_schema import INSTANT, duration
from timers.exceptions import InvalidRequest
from timers.schedules.duration import parse_seconds
from timers.schedules.instant import parse_instant

_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")


class Body(BaseModel):
    """A request body. Unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")


class EmptyBody(Body):
    """An empty body, which can be left out."""


def _instant(given: Any) -> datetime:
    try:
        return parse_instant(given, "instant")
    except InvalidRequest as error:
        raise ValueError(error.problems[0].message) from None


Instant = Annotated[datetime, BeforeValidator(_instant), WithJsonSchema(INSTANT)]
"""An instant with its offset from UTC."""


@dataclass(frozen=True, slots=True)
class Seconds:
    """Annotation of a float as a duration: a number of seconds within limits, or ISO 8601 text."""

    at_least: float
    at_most: float
    words: str = ""
    """Text of the OpenAPI description."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self._read, handler(source))

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return duration(self.at_least, self.at_most, self.words)

    def _read(self, given: Any) -> float:
        # A query contains only text; a number in it is written as in a body.
        number = json.loads(given) if isinstance(given, str) and _NUMBER.fullmatch(given) else given
        try:
            return parse_seconds(number, "seconds", at_least=self.at_least, at_most=self.at_most)
        except InvalidRequest as error:
            raise ValueError(error.problems[0].message) from None


Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Whole = Annotated[int, Field(strict=True)]
Flag = Annotated[bool, Field(strict=True)]
Name = Annotated[str, Field(min_length=1, max_length=200)]
Reason = Annotated[str, Field(max_length=1000, description="For the record.")]
"""Reason of a request, for the audit trail."""
