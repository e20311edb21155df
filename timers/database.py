"""The database that holds the tables of the timers: the alias in DATABASES that TIMERS["DATABASE"] names.

The app uses `connection` and `transaction` of this module in place of Django's, which mean the default database; the
ORM follows TimersRouter. A project whose timers are in its default database needs no router.

A caller that schedules timers within a transaction of its own, so that they exist only if that commits, opens it with
`transaction.atomic()` of this module: no transaction spans two databases.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from django.db import DEFAULT_DB_ALIAS, connections, router
from django.db import transaction as django_transaction  # noqa: TID251 - here it is given the alias
from django.db.models import Model
from django.utils.connection import ConnectionProxy

from timers import conf

ALIAS: Final = conf.database_alias()
"""Read once, when the process starts: its connections are opened by it."""
ROUTER: Final = "timers.database.TimersRouter"
"""What DATABASE_ROUTERS has to name when the timers are not in the default database."""

connection: Any = ConnectionProxy(connections, ALIAS)


class _Transaction:
    """Functions of django.db.transaction, for the database of the timers."""

    @staticmethod
    def atomic(durable: bool = False) -> django_transaction.Atomic:
        """Return a context manager, or decorator, that runs a block in a transaction or savepoint."""
        return django_transaction.atomic(using=ALIAS, durable=durable)

    @staticmethod
    def on_commit(function: Callable[[], object], *, robust: bool = False) -> None:
        """Call a function after the present transaction has been committed; at once if there is none.

        Args:
            function: What is called.
            robust: Whether its error is only logged: the caller's transaction has been committed.
        """
        django_transaction.on_commit(function, using=ALIAS, robust=robust)

    @staticmethod
    def get_rollback() -> bool:
        """Return whether the innermost block will be rolled back."""
        return django_transaction.get_rollback(using=ALIAS)

    @staticmethod
    def set_rollback(rollback: bool) -> None:
        """Have the innermost block rolled back at its end, or no longer."""
        django_transaction.set_rollback(rollback, using=ALIAS)

    @staticmethod
    def savepoint() -> str:
        """Create a savepoint and return its id."""
        return django_transaction.savepoint(using=ALIAS)

    @staticmethod
    def savepoint_rollback(sid: str) -> None:
        """Undo all since a savepoint."""
        django_transaction.savepoint_rollback(sid, using=ALIAS)

    @staticmethod
    def savepoint_commit(sid: str) -> None:
        """Keep all since a savepoint."""
        django_transaction.savepoint_commit(sid, using=ALIAS)


transaction: Final = _Transaction()


class TimersRouter:
    """Sends the models of the app to its database, and keeps other apps' tables out of it.

    It only has a say if that is not the default database. A project that keeps further tables there names a router of
    its own before this one.
    """

    app_label = "timers"

    def db_for_read(self, model: type[Model], **hints: Any) -> str | None:
        """Return the alias for a model of the app; for the user of one of its rows, the alias of the project's users.

        Django would look for the user in the database of the row.
        """
        return _alias_for(model, hints.get("instance"), router.db_for_read)

    def db_for_write(self, model: type[Model], **hints: Any) -> str | None:
        """Return the alias as db_for_read does."""
        return _alias_for(model, hints.get("instance"), router.db_for_write)

    def allow_relation(self, one: Model, other: Model, **_: Any) -> bool | None:
        """Allow a row of the app to name a user: only its id is kept, without a constraint of the database."""
        return True if _is_of_app(one) or _is_of_app(other) else None

    def allow_migrate(self, db: str, app_label: str, **_: Any) -> bool | None:
        """Create the app's tables in its database only, and no other tables there."""
        if ALIAS == DEFAULT_DB_ALIAS:
            return None
        if app_label == self.app_label or db == ALIAS:
            return (app_label == self.app_label) == (db == ALIAS)
        return None


def _alias_for(model: type[Model], instance: Model | None, without_hints: Callable[[type[Model]], str]) -> str | None:
    if ALIAS == DEFAULT_DB_ALIAS:
        return None
    if _is_of_app(model):
        return ALIAS
    return without_hints(model) if _is_of_app(instance) else None


def _is_of_app(row: Model | type[Model] | None) -> bool:
    """Return whether a row, or a model, is one of the app's."""
    return row is not None and row._meta.app_label == TimersRouter.app_label  # noqa: SLF001 - Django's documented API
