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
    except OperationalError:
        if embedded_database_is_down():
            sys.exit(
                "The embedded database is not running. Start it: `manage.py embeddeddb start`, or all: `manage.py up`."
            )
        raise


def embedded_database_is_down() -> bool:
    from django.conf import settings

    from timerproject.embedded.server import configured

    return bool(settings.EMBEDDED_DATABASE) and not configured().answers()


if __name__ == "__main__":
    main()
