"""URL paths under which the project has included this app, relative to the script prefix."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from django.conf import settings
from django.urls import get_script_prefix, get_urlconf, reverse

API_ROOT: Final = "timers:api:api-root"


def app_prefix() -> str:
    """Return the path prefix of all URLs of the app, such as `/` or `/ops/timers/`."""
    return _path("timers:overview", get_urlconf() or settings.ROOT_URLCONF, get_script_prefix())


def api_prefix() -> str:
    """Return the path prefix of the API without its version, such as `/api/`."""
    root = _path(API_ROOT, get_urlconf() or settings.ROOT_URLCONF, get_script_prefix())
    return root.removesuffix("v1/")


@lru_cache
def _path(name: str, urlconf: str, script_prefix: str) -> str:
    return "/" + reverse(name, urlconf).removeprefix(script_prefix)
