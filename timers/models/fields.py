"""Custom model fields."""

from __future__ import annotations

from typing import Any

from django.db import models
from psycopg.types.json import Json, Jsonb

from timers.domain.payload import readable


class ExactJSONField(models.JSONField):
    """A JSON value stored as the exact text that was written (column type `json`, not `jsonb`).

    It preserves key order and numbers beyond 2**53. A value that Python cannot read (which only another program can
    have written) is returned as `timers.domain.payload.Unreadable`, so one invalid row never breaks a whole result.
    """

    def db_type(self, connection: Any) -> str:
        return "json"

    def select_format(self, compiler: Any, sql: str, params: Any) -> tuple[str, Any]:
        # Read as text: the driver's own json loader would raise in the middle of a result set.
        return f"{sql}::text", params

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:
        # Django binds jsonb, which would sort the keys and rewrite the numbers before they reach the column.
        adapted = super().get_db_prep_value(value, connection, prepared)
        return Json(adapted.obj, adapted.dumps) if isinstance(adapted, Jsonb) else adapted

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        return readable(value) if isinstance(value, str) else value
