"""A throw-away database with the service's tables, for the commands; tests have one already."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from django.db import connection

from tests.support.server import serve_tests
from tests.torture.sim.world import World, observer


@contextmanager
def world() -> Iterator[World]:
    """A world on a database of its own, dropped at the end."""
    with ExitStack() as stack:
        serve_tests(stack)
        name = connection.settings_dict["NAME"]
        connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
        stack.callback(connection.creation.destroy_test_db, name, verbosity=0)
        stack.callback(_end_sessions)
        yield stack.enter_context(own_world())


def _end_sessions() -> None:
    """End what a seed that hangs has left, for the database to be dropped."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


@contextmanager
def own_world() -> Iterator[World]:
    """A world on the database that Django uses: everything in it is at its mercy."""
    with observer() as watching:
        found = World(watching)
        try:
            yield found
        finally:
            found.close()
