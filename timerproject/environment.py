"""Environment variables that are checked: django-environ takes any unknown word for false."""

from __future__ import annotations

from typing import Final
from zoneinfo import available_timezones

from django.core.exceptions import ImproperlyConfigured
from environ import Env

from timers.conf import truth

LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")

_env: Final = Env()


def switch(name: str, *, default: bool) -> bool:
    given = _env.str(name, default=str(default))
    try:
        return truth(given)
    except ValueError:
        raise ImproperlyConfigured(f"{name} must be true or false (given: {given!r}).") from None


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
