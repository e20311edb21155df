#!/usr/bin/env python3
"""The command line of the timer service; `python manage.py help` lists the commands."""

from __future__ import annotations

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "timerproject.settings")
    try:
        from django.core.exceptions import ImproperlyConfigured
        from django.core.management import execute_from_command_line
        from django.db import OperationalError
    except ModuleNotFoundError as missing:
        sys.exit(
            f"{missing.name} is not installed for {sys.executable}. "
            "Run `make setup`, then `.venv/bin/python manage.py ...`."
        )
    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as problem:
        sys.exit(f"Not started. {problem}")
    except OperationalError as error:
        if embedded_database_is_down():
            sys.exit(
                "The embedded database is not running. Start it: `manage.py embeddeddb start`, or all: `manage.py up`."
            )
        if is_connection_failure(error):
            sys.exit(f"The database cannot be reached: {' '.join(str(error).split())}")
        raise
    except BrokenPipeError:
        # Whoever read this has seen enough; what is still to be written goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def is_connection_failure(error: Exception) -> bool:
    """Whether there was no server to say anything: what a server refuses has an SQLSTATE."""
    return getattr(error.__cause__, "sqlstate", None) is None


def embedded_database_is_down() -> bool:
    from django.conf import settings

    from timerproject.embedded.server import configured

    return bool(settings.EMBEDDED_DATABASE) and not configured().answers()


if __name__ == "__main__":
    main()
