"""The description of the API, generated once for all tests: a third of a second each time would be most of many."""

from __future__ import annotations

from functools import cache
from typing import Any

from timers.api.api import api


@cache
def openapi_schema() -> dict[str, Any]:
    """The description, to look at and not to change."""
    schema: dict[str, Any] = api.get_openapi_schema()
    return schema
