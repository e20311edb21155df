"""A database that has not been migrated to this version: how to recognise its errors, and the remedy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from django.db import DatabaseError, ProgrammingError
from django.db.migrations.executor import MigrationExecutor

from timers.database import connection

NOT_MIGRATED: Final = "database: its tables are missing or older than this program. Run manage.py migrate."
_UNDEFINED: Final = {"42P01", "42703", "42883"}
"""SQLSTATE: undefined table, undefined column, undefined function."""


def is_not_migrated(error: BaseException | None) -> bool:
    """Return whether a statement may have failed because the database has not been migrated to this version."""
    return isinstance(error, ProgrammingError) and getattr(error.__cause__, "sqlstate", None) in _UNDEFINED


def is_caused_by_missing_migrations(error: BaseException | None) -> bool:
    """Return whether an error is due to missing migrations; unlike is_not_migrated it checks the applied migrations."""
    return is_not_migrated(error) and migrations_are_missing()


def migrations_are_missing() -> bool:
    """Return whether migrations of this version are not applied; also True if that cannot be read."""
    try:
        return bool(unapplied_migrations())
    except DatabaseError:
        return True


def unapplied_migrations() -> Sequence[object]:
    """Return the migrations that the app still needs, its own and those that these depend on."""
    executor = MigrationExecutor(connection)
    return executor.migration_plan([node for node in executor.loader.graph.leaf_nodes() if node[0] == "timers"])
