"""The REST API behind a real web server: malformed HTTP, senders that fall silent, a database that goes away."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest

from tests.cluster.field import Field, eventually
from tests.cluster.web import Web, serving
from timerproject.embedded.folder import Folder
from timerproject.embedded.server import EmbeddedServer
from timerproject.web_session import MARGIN

pytestmark = pytest.mark.cluster

GROUP = {"name": "g", "action": {"kind": "pull"}}


@pytest.fixture
def web(field: Field) -> Iterator[Web]:
    with serving(field) as web:
        yield web


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.") else 0


def test_malformed_http_is_refused_and_the_next_request_is_not_harmed(web: Web) -> None:
    head = f"Host: localhost\r\nAuthorization: Bearer {web.key}\r\nContent-Type: application/json\r\n"
    hidden = "GET /api/v1/groups/smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"
    bad = {
        "two lengths": f"POST /api/v1/groups HTTP/1.1\r\n{head}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{{}}",
        "length and chunks": f"POST /api/v1/groups HTTP/1.1\r\n{head}Content-Length: 5\r\n"
        f"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}",
        "a length with a sign": f"POST /api/v1/groups HTTP/1.1\r\n{head}Content-Length: +2\r\n\r\n{{}}",
        "an unknown coding": f"POST /api/v1/groups HTTP/1.1\r\n{head}Transfer-Encoding: chunkedd\r\n\r\n0\r\n\r\n",
        "a header of 64 KB": f"GET /api/v1/groups HTTP/1.1\r\n{head}X-Big: {'x' * 65_536}\r\n\r\n",
        "a line break in a header": f"GET /api/v1/groups HTTP/1.1\r\n{head}X-A: 1\n X: 2\r\n\r\n",
        "an unknown method": f"BREW /api/v1/groups HTTP/1.1\r\n{head}\r\n",
        "TRACE": f"TRACE /api/v1/groups HTTP/1.1\r\n{head}\r\n",
        "no HTTP at all": "\x00\x01\x02\r\n\r\n",
    }
    for what, text in bad.items():
        with web.raw() as connection:
            connection.sendall(text.encode("latin-1"))
            connection.shutdown(1)
            answers = b""
            while chunk := connection.recv(65536):
                answers += chunk
        assert status_of(answers) in {0, 400, 405, 411, 413, 414, 422, 431, 501}, (what, answers[:300])
        assert b"smuggled" not in answers, what
        assert web.ask("GET", "/groups")[0] == 200, what


def test_a_body_in_chunks_is_taken_and_a_silent_sender_given_up(web: Web) -> None:
    head = f"Host: localhost\r\nAuthorization: Bearer {web.key}\r\nContent-Type: application/json\r\n"
    with web.raw() as connection:
        start = f"POST /api/v1/groups HTTP/1.1\r\n{head}Transfer-Encoding: chunked\r\n\r\n"
        connection.sendall(f'{start}6\r\n{{"name\r\n6\r\n":"c"}}\r\n0\r\n\r\n'.encode())
        assert status_of(connection.recv(65536)) == 201
    with web.raw() as connection:
        connection.sendall(f'POST /api/v1/groups HTTP/1.1\r\n{head}Content-Length: 100\r\n\r\n{{"na'.encode())
        # Others are served meanwhile.
        assert web.ask("GET", "/groups")[0] == 200
        assert status_of(connection.recv(65536)) == 408


def test_a_held_lock_keeps_no_thread_for_longer_than_the_bound(field: Field) -> None:
    field.settings["TIMERS_WEB_STATEMENT_TIMEOUT"] = "0.5"
    with serving(field) as web, ThreadPoolExecutor(8) as clients:
        assert web.ask("GET", "/groups")[0] == 200
        with psycopg.connect(field.address) as holder:
            holder.execute("LOCK TABLE timers_timer_group IN ACCESS EXCLUSIVE MODE")
            begin = time.monotonic()
            waits = [clients.submit(web.ask, "GET", "/groups") for _ in range(8)]  # twice as many as threads
            with web.raw() as connection:
                connection.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                assert status_of(connection.recv(65536)) == 200
            for status, headers, said in (wait.result() for wait in waits):
                assert (status, said["code"]) == (503, "unavailable")
                assert int(headers["Retry-After"]) >= 1
            assert time.monotonic() - begin < 5
        assert web.ask("GET", "/groups")[0] == 200


def test_names_with_slashes_reach_their_timers(web: Web) -> None:
    web.ask("POST", "/groups", GROUP)
    timer = {"kind": "once", "name": "a/b%2Fc", "after": 60}
    assert web.ask("POST", "/groups/g/timers", timer)[0] == 201
    status, _, said = web.ask("GET", "/groups/g/timers/a%2Fb%252Fc")
    assert (status, said["name"]) == (200, "a/b%2Fc")


def test_the_longest_names_reach_their_timers(web: Web) -> None:
    group, name = "\N{MANTELPIECE CLOCK}" * 200, "\N{MONEY BAG}" * 200
    web.ask("POST", "/groups", {**GROUP, "name": group})
    address = f"/groups/{quote(group)}/timers"
    assert web.ask("POST", address, {"kind": "once", "name": name, "after": 60})[0] == 201
    status, _, said = web.ask("GET", f"{address}/{quote(name)}")
    assert (status, said["name"]) == (200, name)


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[tuple[EmbeddedServer, Field]]:
    """A database server for one test, to do with as it likes."""
    server = EmbeddedServer(Folder.at(tmp_path / "var"), durable=True)
    server.start()
    try:
        parameters = server.folder.parameters()
        host = str(parameters["host"]).replace("/", "%2F")
        address = f"postgresql://{parameters['user']}@{host}:{parameters['port']}/{parameters['dbname']}"
        field = Field(address, tmp_path)
        field.migrate()
        yield server, field
    finally:
        server.stop()


def test_a_server_that_hangs_is_given_up_and_found_again(own_server: tuple[EmbeddedServer, Field]) -> None:
    _, field = own_server
    field.settings["TIMERS_WEB_STATEMENT_TIMEOUT"] = "0.5"
    with serving(field, "--threads", "1") as web:  # so that the next request has the same session
        assert web.ask("GET", "/groups")[0] == 200
        others = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        sessions = [pid for (pid,) in field.rows(others)]
        for pid in sessions:
            os.kill(pid, signal.SIGSTOP)
        try:
            begin = time.monotonic()
            status, _, said = web.ask("GET", "/groups")
            assert (status, said["code"]) == (503, "unavailable")
            assert time.monotonic() - begin < 0.5 + MARGIN + 3
            assert web.ask("GET", "/groups")[0] == 200, "by another session"
        finally:
            for pid in sessions:
                os.kill(pid, signal.SIGCONT)


def test_a_page_says_that_the_database_is_away_and_the_log_says_it_in_a_line(
    own_server: tuple[EmbeddedServer, Field],
) -> None:
    server, field = own_server
    with serving(field) as web:
        server.stop()
        page, retry_after = web.page("/")
        assert "The database cannot be reached" in page
        assert int(retry_after) >= 1
    log = (field.folder / "web.log").read_text()
    assert log.count("the database is unavailable") == 1
    assert "Traceback" not in log


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT], ids=["fast", "immediate"])
def test_while_the_database_is_away_nothing_is_promised_and_a_repeat_does_it_once(
    own_server: tuple[EmbeddedServer, Field], how: signal.Signals
) -> None:
    server, field = own_server
    with serving(field) as web, ThreadPoolExecutor(4) as clients:
        web.ask("POST", "/groups", GROUP)
        met: Counter[int] = Counter()

        def create(number: int) -> None:
            """As a client does: again and again under one Idempotency-Key, until it is certain."""
            timer = {"kind": "once", "name": f"t{number}", "after": 3600}

            def is_done() -> bool:
                status, headers, said = web.ask("POST", "/groups/g/timers", timer, Idempotency_Key=f"k{number}")
                met[status] += 1
                assert status in {201, 503}, said
                assert status == 201 or int(headers["Retry-After"]) >= 1
                return status == 201

            eventually(is_done)

        waits = [clients.submit(create, number) for number in range(400)]
        postmaster = server.folder.data / "postmaster.pid"
        eventually(lambda: met[201] > 50)
        os.kill(int(postmaster.read_text().split()[0]), how)
        eventually(lambda: not postmaster.exists())
        eventually(lambda: met[503] > 0)
        server.start()
        for wait in waits:
            wait.result()
        assert field.value("SELECT count(*) FROM timers_timer") == 400
