"""Asks the API as programs do."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from django.http import HttpResponse
from django.test import Client

PROBLEM = "application/problem+json"


@dataclass
class Asking:
    """The API as one key sees it; without a key, as anybody does."""

    key: str = ""
    client: Client = field(default_factory=lambda: Client(raise_request_exception=False))
    address: str = "127.0.0.1"

    def __call__(self, method: str, path: str, body: Any = None, *, raw: str = "", **headers: str) -> HttpResponse:
        """Send a request; `body`: a JSON value, or bytes as they are. Headers as keywords: If_Match="...".

        `raw`: the path as a WSGI server hands it on, undecoded.
        """
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.key:
            given.setdefault("Authorization", f"Bearer {self.key}")
        content_type = given.pop("Content-Type", "application/json")
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        response: Any = self.client.generic(
            method, f"/api/v1{path}", data, content_type, headers=given, REMOTE_ADDR=self.address, RAW_URI=raw
        )
        return response  # type: ignore[no-any-return]

    def get(self, path: str, **headers: str) -> Any:
        """The JSON of a GET that must succeed."""
        response = self("GET", path, **headers)
        assert response.status_code == 200, response.content
        return json.loads(response.content)

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        """The JSON of a POST that must succeed."""
        response = self("POST", path, body, **headers)
        assert response.status_code in {200, 201, 202}, response.content
        return json.loads(response.content)


def problem(response: HttpResponse, status: int, code: str) -> dict[str, Any]:
    """The problem that a response must be."""
    assert (response.status_code, response.headers["Content-Type"]) == (status, PROBLEM), response.content
    said: dict[str, Any] = json.loads(response.content)
    assert (said["status"], said["code"]) == (status, code)
    assert said["request_id"] == response.headers["X-Request-Id"]
    return said


def fields(said: dict[str, Any]) -> list[str]:
    """The fields that a problem names."""
    return [error["field"] for error in said["errors"]]
