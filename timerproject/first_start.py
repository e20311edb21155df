"""Prepare what the service needs: tables, static files, an administrator. Each step can be repeated."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

FIRST_ADMINISTRATOR = "admin"


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Serialize the preparation: concurrent starts in the same folder run it one after the other."""
    settings.VAR.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (settings.VAR / "up.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def migrate(say: Callable[[str], None]) -> None:
    executor = MigrationExecutor(connection)
    if plan := executor.migration_plan(executor.loader.graph.leaf_nodes()):
        say(f"making the tables ({len(plan)} migrations)")
        call_command("migrate", interactive=False, verbosity=0)


def collect_static_files() -> None:
    settings.STATIC_ROOT.mkdir(parents=True, exist_ok=True)
    call_command("collectstatic", interactive=False, verbosity=0)


def administrator() -> User:
    """Return the first administrator; create one without a password, for sign-in by link, if there is none."""
    found = User.objects.filter(is_superuser=True, is_active=True).order_by("pk").first()
    return found or User.objects.create_superuser(FIRST_ADMINISTRATOR)
