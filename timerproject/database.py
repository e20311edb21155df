"""Translate DATABASE_URL, or its absence, into Django's DATABASES."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import unquote

from django.core.exceptions import ImproperlyConfigured
from environ import Env

from timerproject.embedded.folder import Folder

ENGINE: Final = "timerproject.postgresql"
_OF_THE_URL: Final = "django.db.backends.postgresql"

# A server that disappears without closing its connections is detected within half a minute, not after two hours.
CLIENT_OPTIONS: Final = {
    "connect_timeout": 10,
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,
    "application_name": "timers",
}

# With several hosts, one of them may be down or a standby.
SEVERAL_HOSTS: Final = {"connect_timeout": 3, "target_session_attrs": "read-write"}

# Opening a connection costs more than most requests, so connections persist. Each is checked when a request uses it
# (postgresql/base.py), so a restarted database causes no errors. There is no pool: the worker keeps one plain
# connection per thread.
HABITS: Final = {"CONN_MAX_AGE": 600, "CONN_HEALTH_CHECKS": True}


def database(url: str, embedded: Folder) -> dict[str, Any]:
    """Return DATABASES["default"] for this URL; for an empty one that of the embedded server, without starting it."""
    chosen = _from_url(url) if url else _embedded(embedded)
    several = SEVERAL_HOSTS if "," in chosen["HOST"] else {}
    return {"ENGINE": ENGINE, **HABITS, **chosen, "OPTIONS": CLIENT_OPTIONS | several | chosen.get("OPTIONS", {})}


def _embedded(folder: Folder) -> dict[str, Any]:
    parameters = folder.parameters()
    return {
        "NAME": parameters["dbname"],
        "USER": parameters["user"],
        "HOST": parameters["host"],
        "PORT": str(parameters["port"]),
    }


def _from_url(url: str) -> dict[str, Any]:
    try:
        config: dict[str, Any] = dict(Env.db_url_config(url))
    except ValueError:
        config = {}
    if config.pop("ENGINE", None) != _OF_THE_URL or not config.get("NAME"):
        raise ImproperlyConfigured(
            "DATABASE_URL must name a PostgreSQL database: postgresql://user:password@host:5432/name, "
            "or postgresql://user@%2Fsocket%2Ffolder/name. Unset it to use the embedded one."
        )
    # A socket's folder is percent-encoded in a URL, and the parser does not decode it.
    config["HOST"] = unquote(config.get("HOST") or "")
    return config
