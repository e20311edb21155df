"""The field types of bodies and queries: strict, so that the text "5" is no number, and read by the service's rules."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from timers.api.schemas import INSTANT
from timers.exceptions import SpecError
from timers.schedules.instant import parse_instant


class Body(BaseModel):
    """A request's body: what it does not know, it refuses."""

    model_config = ConfigDict(extra="forbid")


class EmptyBody(Body):
    """Nothing; the body may be left out."""


def _instant(given: Any) -> datetime:
    try:
        return parse_instant(given, "instant")
    except SpecError as error:
        raise ValueError(error.problems[0].message) from None


Instant = Annotated[datetime, BeforeValidator(_instant), WithJsonSchema(INSTANT)]
"""An instant with its offset from UTC."""

Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Whole = Annotated[int, Field(strict=True)]
Flag = Annotated[bool, Field(strict=True)]
Name = Annotated[str, Field(min_length=1, max_length=200)]
Reason = Annotated[str, Field(max_length=1000, description="For the record.")]
"""What people read later."""
