"""Error responses of the web server itself: requests that are malformed, too large or too slow to reach the service."""

from __future__ import annotations

from typing import Final
from uuid import uuid4

from waitress.utilities import Error

API: Final = "/api/"


class Refusal(Error):  # type: ignore[misc]
    """An error response. `path`: the path of the request, empty if it was not read."""

    def __init__(self, code: int, reason: str, body: str, path: str = "") -> None:
        super().__init__(body)
        self.code = code
        self.reason = reason
        self.path = path

    def to_response(self, ident: str | None = None) -> tuple[str, list[tuple[str, str]], bytes]:
        """Return status line, headers and body: a problem for the API, else one line of text."""
        headers, body = self._problem() if self.path.startswith(API) else self._line()
        return f"{self.code} {self.reason}", headers, body

    def _line(self) -> tuple[list[tuple[str, str]], bytes]:
        return [("Content-Type", "text/plain; charset=utf-8")], f"{self.body}\n".encode()

    def _problem(self) -> tuple[list[tuple[str, str]], bytes]:
        # gunicorn's master process imports the worker class before Django is set up; this runs in a worker.
        from timers.api.problems import STATUS, Code, Problem

        code: Code = next((code for code, status in STATUS.items() if status == self.code), "malformed")
        request_id = uuid4().hex
        response = Problem(code, self.body).response(request_id)
        return [*response.headers.items(), ("X-Request-Id", request_id)], response.content


def timed_out(what: str, path: str = "") -> Refusal:
    """Return a 408 response."""
    return Refusal(408, "Request Timeout", what, path)
