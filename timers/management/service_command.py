"""ServiceCommand: a command that needs the tables of the service, and reports in one line if they are missing."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import ProgrammingError

from timers.server.unmigrated import NOT_MIGRATED, is_not_migrated


class ServiceCommand(BaseCommand):
    """A BaseCommand that replaces the error of a database without migrations by its remedy."""

    def execute(self, *args: Any, **options: Any) -> str | None:
        try:
            return super().execute(*args, **options)
        except ProgrammingError as error:
            if is_not_migrated(error):
                raise CommandError(NOT_MIGRATED) from error
            raise
