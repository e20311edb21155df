"""Read environment variables with validation: django-environ treats any unknown word as false."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec
from typing import Final
from zoneinfo import available_timezones

from django.core.exceptions import ImproperlyConfigured
from environ import Env

from timers.conf.setting import truth

THIS_MACHINE: Final = ("localhost", "127.0.0.1", "[::1]")
LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")

_env: Final = Env()


def switch(name: str, *, default: bool) -> bool:
    given = _env.str(name, default=str(default))
    try:
        return truth(given)
    except ValueError:
        raise ImproperlyConfigured(f"{name} must be true or false (given: {given!r}).") from None


def debug(name: str, *, hosts: Iterable[str]) -> bool:
    """Return a switch, off by default, that can be on only if all host names are this machine's own.

    Error pages show settings and local variables to every client.
    """
    given = switch(name, default=False)
    beyond = [host for host in hosts if not _is_this_machine(host)]
    if given and beyond:
        raise ImproperlyConfigured(
            f"{name} must be off where others can reach the service: ALLOWED_HOSTS names {', '.join(beyond)}. "
            f"Set {name}=off; or, to try things out here, leave ALLOWED_HOSTS to its default, {','.join(THIS_MACHINE)}."
        )
    return given


def log_level(name: str, *, default: str) -> str:
    given = str(_env.str(name, default=default))
    if given.upper() not in LEVELS:
        raise ImproperlyConfigured(f"{name} must be one of {', '.join(LEVELS)} (given: {given!r}).")
    return given.upper()


def time_zone(name: str, *, default: str) -> str:
    given = str(_env.str(name, default=default))
    if given not in available_timezones():
        raise ImproperlyConfigured(f"{name} must be a zone name such as Europe/Berlin (given: {given!r}).")
    return given


def apps(name: str) -> list[str]:
    """Return names of Django apps, separated by commas; each must be found where Python looks for modules."""
    given = [app.strip() for app in _env.list(name, default=[]) if app.strip()]
    for app in given:
        if not _is_there(app):
            raise ImproperlyConfigured(
                f"{name} names {app!r}, which cannot be imported: put its folder next to manage.py, or install it."
            )
    return given


def _is_this_machine(host: str) -> bool:
    # testserver is the host of Django's test client; names under .localhost never leave the machine (RFC 6761).
    name = host.strip().lower()
    return name in {*THIS_MACHINE, "testserver"} or name.endswith(".localhost")


def _is_there(app: str) -> bool:
    """Return whether the top-level package of the app's dotted name exists, without importing it."""
    try:
        return find_spec(app.partition(".")[0]) is not None
    except ValueError:
        return False
