"""Names with a slash in a path: Django decodes `%2F` to a slash, so the raw path is used.

Within a segment each such slash is replaced by U+001F, which no name may contain, and restored when the name is read.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import unquote

from django.http import HttpRequest

_STAND_IN: Final = "\x1f"
_RAW: Final = ("RAW_URI", "REQUEST_URI")
"""Environment keys in which WSGI servers store the raw path: gunicorn; uWSGI, mod_wsgi and others."""


def keep_slashes(request: HttpRequest) -> None:
    """Route by the raw path if a name in it contains a slash."""
    raw = next((request.META[name] for name in _RAW if name in request.META), "")
    path = raw.partition("?")[0]
    if "%2f" in path.lower():
        segments = [unquote(segment).replace("/", _STAND_IN) for segment in path.split("/")]
        request.path_info = "/".join(segments)


def read_name(segment: str) -> str:
    """Return the name that a path segment encodes."""
    return segment.replace(_STAND_IN, "/")


def path_names(request: HttpRequest) -> dict[str, Any]:
    """Return the names in the path of a routed request."""
    match = request.resolver_match
    return {} if match is None else {word: read_name(value) for word, value in match.kwargs.items()}
