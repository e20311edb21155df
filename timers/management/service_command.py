"""ServiceCommand: a command that needs the tables of the service, and says in one line when they are not there."""

from __future__ import annotations

from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError
from django.db import ProgrammingError

_NOT_MIGRATED: Final = {"42P01", "42703", "42883"}
"""SQLSTATE: undefined table, undefined column, undefined function."""


class ServiceCommand(BaseCommand):
    """A BaseCommand that turns the error of a database without migrations into its remedy."""

    def execute(self, *args: Any, **options: Any) -> str | None:
        try:
            return super().execute(*args, **options)
        except ProgrammingError as error:
            if is_not_migrated(error):
                raise CommandError(NOT_MIGRATED) from error
            raise


NOT_MIGRATED: Final = "database: its tables are missing or older than this program. Run manage.py migrate."


def is_not_migrated(error: ProgrammingError) -> bool:
    """Whether a statement failed because the database has not been migrated to this version."""
    return getattr(error.__cause__, "sqlstate", None) in _NOT_MIGRATED
