"""WebhookTarget: an HTTP server that answers 200 and writes down every call."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.torture.live.records import Journal


class _QuietServer(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """A node that was killed while it called is no news."""


class WebhookTarget:
    """Serves on a free port of this host, in threads."""

    def __init__(self, effects: Path) -> None:
        self._journal = Journal(effects)
        journal = self._journal

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                journal.write(
                    phase="start", execution=self.headers["webhook-id"], name=body["Name"],
                    attempt=body["NumberOfTry"], fence=int(self.headers["timer-fence"]), node="", pid=0, kind="webhook",
                )  # fmt: skip
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class
                """Keep quiet."""

        self._server = _QuietServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/hook"

    def start(self) -> None:
        """Serve."""
        self._thread.start()

    def close(self) -> None:
        """Stop."""
        self._server.shutdown()
