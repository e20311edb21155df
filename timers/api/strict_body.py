"""Strict parsing of bodies and queries: within size limits, and with the location of every error."""

from __future__ import annotations

from typing import Any, Final, cast

from django.http import HttpRequest
from django.utils.datastructures import MultiValueDict
from ninja.parser import Parser

from timers.api import strict_json
from timers.api.problems import Problem
from timers.exceptions import FieldProblem

MAX_BODY: Final = 256 * 1024
MAX_BULK: Final = 8 * 1024 * 1024
BULK_PATH: Final = "/timers/bulk"
SILENCE: Final = 10.0
"""Seconds without another byte after which reading a body is given up."""
JSON_TYPES: Final = frozenset({"application/json", "text/json"})


class StrictParser(Parser):
    """Parser of the whole API."""

    def parse_body(self, request: HttpRequest) -> dict[str, Any]:
        """Return the JSON value of a body. Raises Problem, MalformedJson or InvalidRequest."""
        return cast("dict[str, Any]", json_body(request))

    def parse_querydict(
        self, data: MultiValueDict[str, Any], list_fields: list[str], request: HttpRequest
    ) -> dict[str, Any]:
        """Return the query parameters. A repeated parameter that accepts one value is an error."""
        twice = [name for name, values in data.lists() if len(values) > 1 and name not in list_fields]
        if twice:
            raise Problem.of_fields("invalid", [FieldProblem(name, "is given more than once") for name in twice])
        unstorable = [name for name, values in data.lists() if any(_unstorable(value) for value in values)]
        if unstorable:
            raise Problem.of_fields(
                "invalid", [FieldProblem(name, "holds a character that cannot be kept") for name in unstorable]
            )
        return super().parse_querydict(data, list_fields, request)


def json_body(request: HttpRequest) -> Any:
    """Return the JSON value of a request's body, which is limited to 256 KB."""
    media_type = (request.content_type or "").lower()
    if media_type not in JSON_TYPES:
        raise Problem("media_type", f"Send JSON, as Content-Type: application/json (this is {media_type or 'none'}).")
    if len(request.body) > MAX_BODY:
        raise Problem("too_large", f"The body may have at most {MAX_BODY:,} bytes.")
    return strict_json.loads(request.body)


def _unstorable(value: str) -> bool:
    # Django decodes bytes that are not UTF-8 as U+FFFD. It passes NUL on, which PostgreSQL refuses.
    return "\x00" in value or any("\ud800" <= letter <= "\udfff" for letter in value)


def take_body(request: HttpRequest) -> None:
    """Read the whole body now, within its limits, so that nothing later waits for the client. Raises Problem.

    With the worker class of gunicorn.conf.py the body is already complete. gunicorn's own worker classes read it here,
    and give up on a client that stops sending.
    """
    announced = _announced_length(request)
    if announced != 0 and request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise Problem("media_type", "Send the body as it is; compressed ones are not taken.")
    most = MAX_BULK if request.path_info.endswith(BULK_PATH) else MAX_BODY
    if announced is not None and announced > most:
        raise Problem("too_large", f"The body may have at most {most:,} bytes; this has {announced:,}.")
    socket = request.META.get("gunicorn.socket")
    if socket is not None:
        socket.settimeout(SILENCE)
    try:
        # Bypasses Django's stream, which treats a chunked body as empty and a silent client as a broken connection.
        body = request.META["wsgi.input"].read(most + 1 if announced is None else announced)
    except TimeoutError:
        raise Problem("timeout", f"No more of the body came for {SILENCE} seconds.") from None
    except OSError:
        raise Problem("malformed", "The body broke off.") from None
    finally:
        if socket is not None:
            socket.settimeout(None)
    if announced is None and len(body) > most:
        raise Problem("too_large", f"The body may have at most {most:,} bytes.")
    if announced is not None and len(body) < announced:
        raise Problem("malformed", "The body broke off.")
    # Where Django looks for a body that was already read.
    request._body = body  # noqa: SLF001


def _announced_length(request: HttpRequest) -> int | None:
    """Return the Content-Length, 0 if it is missing; None for a chunked body, whose end the server detects."""
    if request.headers.get("Transfer-Encoding"):
        if not request.META.get("wsgi.input_terminated"):
            raise Problem("length_required", "Send the body with its Content-Length.")
        return None
    length = request.headers.get("Content-Length") or "0"
    # int() also accepts signs, underscores and digits of other scripts.
    if not (length.isascii() and length.isdigit()):
        raise Problem("malformed", "Content-Length must be a number.")
    return int(length)
