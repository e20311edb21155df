"""The installation that figures belong to: versions, settings and the machine."""

from __future__ import annotations

import os
import platform
from dataclasses import asdict
from typing import Any, Final

import django
import psycopg
from django.db import connection

from timers import conf
from timers.version import VERSION

_POSTGRESQL: Final = ("fsync", "synchronous_commit", "full_page_writes", "shared_buffers", "max_wal_size", "autovacuum")


def describe() -> dict[str, Any]:
    """Return the versions, the settings that affect speed, and the size of the machine."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT name, current_setting(name) FROM unnest(%s::text[]) AS s(name)", (["server_version", *_POSTGRESQL],)
        )
        server = dict(cursor.fetchall())
    settings = conf.current()
    return {
        "versions": {
            "timers": VERSION,
            "python": platform.python_version(),
            "django": django.get_version(),
            "psycopg": f"{psycopg.__version__} ({psycopg.pq.__impl__})",
            "postgresql": server.pop("server_version"),
        },
        "settings": {
            "timers": {
                name: value
                for name, value in asdict(settings).items()
                if name in {"poll_interval", "heartbeat_interval", "lease", "notify"}
            },
            "postgresql": server,
        },
        "machine": {"system": f"{platform.system()} {platform.machine()}", "cores": os.cpu_count()},
    }
