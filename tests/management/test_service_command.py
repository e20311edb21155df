"""Commands on a database that was not migrated: one line with the remedy."""

from __future__ import annotations

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection

COMMANDS = (
    ("runtimerworker",),
    ("timercluster",),
    ("timerdoctor",),
    ("synctimers",),
)


@pytest.mark.django_db
@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_command_on_an_unmigrated_database_says_run_migrate(command: tuple[str, ...]) -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE SCHEMA empty")
        cursor.execute("SET LOCAL search_path = empty")
    with pytest.raises(CommandError, match=r"Run manage\.py migrate\."):
        call_command(*command, skip_checks=True)
