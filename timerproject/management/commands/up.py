"""`manage.py up`: run the whole service on this machine, in one terminal."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import time
from argparse import ArgumentTypeError
from collections.abc import Callable, Iterator
from typing import Any, Final

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import OperationalError, connections

from timerproject import first_start
from timerproject.children import CannotStart, Child, Children
from timerproject.embedded.folder import EmbeddedDatabaseError
from timerproject.embedded.server import configured
from timerproject.embedded.watch import Watch
from timerproject.sign_in.link import sign_in_path
from timers import conf
from timers.models import Node, Timer

WEB_STOPS_WITHIN: Final = 15.0
PORT_FREE_WITHIN: Final = 3.0


class Command(BaseCommand):
    help = (
        "Run everything here: the database (unless DATABASE_URL is set), the web server, one node; Ctrl-C stops it all."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--port", type=port_number, default=os.environ.get("PORT", "8000"), help="default: PORT, else 8000"
        )
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine only)")
        parser.add_argument("--workers", type=int, default=2, help="worker processes of the node (default 2)")
        parser.add_argument("--no-demo", action="store_true", help="leave an empty database empty")

    def handle(self, *args: Any, **options: Any) -> None:
        conf.require_consistent()
        self.host, self.port = options["host"], options["port"]
        # Until the children exist and can be stopped in order, SIGTERM acts like Ctrl-C.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            refuse_taken_port(self.host, self.port)
            with self._database():
                link = self._prepare(demo=not options["no_demo"])
                children = Children([self._node(options["workers"]), self._web()], self._say, self._beside())
                children.run(on_ready=lambda: self._invite(link))
        except KeyboardInterrupt:
            pass
        except (CannotStart, EmbeddedDatabaseError) as problem:
            raise CommandError(str(problem)) from problem
        except OperationalError as problem:
            raise CommandError(f"The database cannot be used: {problem}") from problem
        self._say("up", "stopped")

    @contextlib.contextmanager
    def _database(self) -> Iterator[None]:
        if not settings.EMBEDDED_DATABASE:
            yield
            return
        server = configured()
        self._say("up", f"starting the embedded PostgreSQL in {server.folder.data}")
        with server.in_use() as started:
            if not started:
                self._say("up", "it was running already")
            try:
                yield
            finally:
                connections.close_all()
                if started:
                    self._say("up", "stopping the embedded PostgreSQL, unless others use it")
                else:
                    self._say(
                        "up", "the embedded PostgreSQL stays, as it was running before: manage.py embeddeddb stop"
                    )

    def _beside(self) -> Callable[[], None]:
        if not settings.EMBEDDED_DATABASE:
            return lambda: None
        return Watch(configured(), lambda line: self._say("up", line)).look

    def _prepare(self, *, demo: bool) -> str:
        """Prepare everything, and return the path of the administrator's sign-in link."""
        with first_start.one_at_a_time():
            first_start.migrate(lambda line: self._say("up", line))
            first_start.collect_static_files()
            if demo and not Timer.objects.exists():
                call_command("timerdemo", stdout=self.stdout)
            return sign_in_path(first_start.administrator())

    def _web(self) -> Child:
        words = ["gunicorn", "timerproject.wsgi", "--bind", f"{self.host}:{self.port}"]
        words += ["--graceful-timeout", f"{WEB_STOPS_WITHIN - 5:g}"]
        return Child(
            "web",
            [sys.executable, "-m", *words],
            settings.BASE_DIR,
            is_ready=lambda _: answers(self.host, self.port),
            stop_within=WEB_STOPS_WITHIN,
        )

    def _node(self, workers: int) -> Child:
        return Child(
            "node",
            [sys.executable, "manage.py", "runtimerworker", "--workers", str(workers)],
            settings.BASE_DIR,
            is_ready=is_registered,
            stop_within=conf.current().drain_timeout + 10,
        )

    def _invite(self, link: str) -> None:
        connections.close_all()
        name = "localhost" if self.host in {"127.0.0.1", "0.0.0.0"} else self.host  # noqa: S104 - compared, not bound
        site = f"{'https' if settings.HTTPS else 'http'}://{name}:{self.port}"
        self.stdout.write(
            f"\n  The console is at   {site}/\n  Sign in, once, by   {site}{link}\n  Stop with Ctrl-C.\n\n"
        )
        self.stdout.flush()

    def _say(self, name: str, line: str) -> None:
        raw = conf.current().log_format == "json" and name != "up"
        self.stdout.write(line if raw else f"{name:<4} | {line}")
        self.stdout.flush()


def port_number(text: str) -> int:
    """Parse a port; raises ArgumentTypeError."""
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 65535):
        raise ArgumentTypeError(f"must be a number from 1 to 65535 (given: {text})")
    return int(text)


def refuse_taken_port(host: str, port: int) -> None:
    """Raise CommandError if something listens there. Waits a moment for a web server left by a killed `up` to end."""
    deadline = time.monotonic() + PORT_FREE_WITHIN
    while True:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
                return
            except OSError as error:
                if time.monotonic() > deadline:
                    raise CommandError(
                        f"Port {port} of {host} cannot be had: {error.strerror}. "
                        f"If this service runs already, use that; else choose another: make up PORT={port + 1}"
                    ) from error
        time.sleep(0.2)


def answers(host: str, port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=1):
        return True
    return False


def is_registered(pid: int) -> bool:
    return Node.objects.filter(pid=pid, host=socket.gethostname(), state=Node.State.ACTIVE).exists()
