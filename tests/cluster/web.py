"""A real web server (gunicorn) on a field's database, and requests to it, well made and not."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from typing import Any

from tests.cluster.field import ROOT, Field, eventually

_KEY = """
from uuid import uuid4
from django.contrib.auth import get_user_model
from timers.control.keys import create_key
user, _ = get_user_model().objects.get_or_create(username="root", is_superuser=True)
print(create_key(f"web {uuid4()}", user=user, scopes=["admin"], all_groups=True, rate=100000)[1])
"""


class Web:
    """gunicorn with few threads; `key` may do everything."""

    def __init__(self, field: Field, port: int) -> None:
        self.port = port
        self.key = field.run(_KEY).strip()

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, dict[str, str], Any]:
        """The status, headers and JSON of one request on a connection of its own."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        given |= {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        try:
            connection.request(method, f"/api/v1{path}", None if body is None else json.dumps(body), given)
            response = connection.getresponse()
            text = response.read()
            return response.status, dict(response.headers), json.loads(text) if text else None
        finally:
            connection.close()

    def page(self, path: str) -> tuple[str, str]:
        """What somebody who signed in long ago sees while no session can be looked up, and its Retry-After."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", path, headers={"Cookie": f"sessionid={'k' * 32}"})
            response = connection.getresponse()
            return response.read().decode(), response.headers.get("Retry-After", "")
        finally:
            connection.close()

    @contextmanager
    def raw(self) -> Iterator[socket.socket]:
        """A connection on which anything may be sent."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection:
            yield connection


@contextmanager
def serving(field: Field, *words: str) -> Iterator[Web]:
    """A web server until the block is left."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    command = [
        sys.executable, "-m", "gunicorn", "timerproject.wsgi", "--bind", f"127.0.0.1:{port}", "--threads", "4", *words
    ]  # fmt: skip
    with (field.folder / "web.log").open("ab") as log:
        server = subprocess.Popen(
            command, cwd=ROOT, env=field.environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL
        )
    try:
        web = Web(field, port)
        eventually(lambda: _answers(port))
        yield web
    finally:
        server.send_signal(signal.SIGTERM)
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
