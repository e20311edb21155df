"""Names with a slash in a path: `%2F` reaches Django as a slash, so the path as it was sent is looked at.

Within a segment each such slash is put as U+001F, which no name may hold, and is put back when the name is read.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import unquote

from django.http import HttpRequest

_STAND_IN: Final = "\x1f"
_RAW: Final = ("RAW_URI", "REQUEST_URI")
"""Where WSGI servers put the path as it was sent: gunicorn; uWSGI, mod_wsgi and others."""


def keep_slashes(request: HttpRequest) -> None:
    """Route by the path as it was sent, where it says that a name holds a slash."""
    raw = next((request.META[name] for name in _RAW if name in request.META), "")
    path = raw.partition("?")[0]
    if "%2f" in path.lower():
        segments = [unquote(segment).replace("/", _STAND_IN) for segment in path.split("/")]
        request.path_info = "/".join(segments)


def read_name(segment: str) -> str:
    """The name that a segment of the path means."""
    return segment.replace(_STAND_IN, "/")


def path_names(request: HttpRequest) -> dict[str, Any]:
    """The names in the path of a request that was routed."""
    match = request.resolver_match
    return {} if match is None else {word: read_name(value) for word, value in match.kwargs.items()}
