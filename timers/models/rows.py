"""Read rows with prebuilt statements.

The ORM builds a query of forty columns each time, which takes several times as long as the database needs for the
response. Where each request reads one row, its columns are listed once, and its object is built from them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, TypeVar

from django.db import models

from timers.database import ALIAS
from timers.models.fields import ExactJSONField

Row = TypeVar("Row", bound=models.Model)


@cache
def columns(model: type[models.Model], alias: str) -> str:
    """Return the columns of a table for SELECT, as `made` needs them: JSON as text, as the driver may raise on it."""
    return ", ".join(
        f"{alias}.{field.column}::text AS {field.column}"
        if isinstance(field, ExactJSONField)
        else f"{alias}.{field.column}"
        for field in model._meta.concrete_fields  # noqa: SLF001 - Django's documented API, whatever its name
    )


def made(model: type[Row], values: Sequence[Any]) -> Row:
    """Build the object of a row that was read with `columns`; further values are ignored."""
    names, exact = _fields(model)
    read = list(values[: len(names)])
    for place, field in exact:
        read[place] = field.from_db_value(read[place], None, None)
    return model.from_db(ALIAS, names, read)


@cache
def _fields(model: type[models.Model]) -> tuple[list[str], list[tuple[int, ExactJSONField]]]:
    fields = model._meta.concrete_fields  # noqa: SLF001
    exact = [(place, field) for place, field in enumerate(fields) if isinstance(field, ExactJSONField)]
    return [field.attname for field in fields], exact


def width(model: type[models.Model]) -> int:
    """Return the number of columns of a table."""
    return len(_fields(model)[0])
