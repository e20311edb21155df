"""Rows by statements that are written once.

The ORM puts a query of forty columns together anew each time, which takes several times as long as the database
takes to answer it. Where one row is read for each request, its columns are listed once, and its object made from them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, TypeVar

from django.db import DEFAULT_DB_ALIAS, models

from timers.models.fields import ExactJSONField

Row = TypeVar("Row", bound=models.Model)


@cache
def columns(model: type[models.Model], alias: str) -> str:
    """The columns of a table for SELECT, as `made` wants them: JSON as text, for the driver's reader raises on some."""
    return ", ".join(
        f"{alias}.{field.column}::text AS {field.column}"
        if isinstance(field, ExactJSONField)
        else f"{alias}.{field.column}"
        for field in model._meta.concrete_fields  # noqa: SLF001 - Django's documented API, whatever its name
    )


def made(model: type[Row], values: Sequence[Any]) -> Row:
    """The object of a row that was read with `columns`; what comes after them is left alone."""
    names, exact = _fields(model)
    read = list(values[: len(names)])
    for place, field in exact:
        read[place] = field.from_db_value(read[place], None, None)
    return model.from_db(DEFAULT_DB_ALIAS, names, read)


@cache
def _fields(model: type[models.Model]) -> tuple[list[str], list[tuple[int, ExactJSONField]]]:
    fields = model._meta.concrete_fields  # noqa: SLF001
    exact = [(place, field) for place, field in enumerate(fields) if isinstance(field, ExactJSONField)]
    return [field.attname for field in fields], exact


def width(model: type[models.Model]) -> int:
    """How many columns a table has."""
    return len(_fields(model)[0])
