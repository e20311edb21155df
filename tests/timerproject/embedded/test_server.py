"""Real servers, each in a folder of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest
from django.conf import settings

from tests.support.eventually import eventually
from timerproject.embedded import run_as
from timerproject.embedded.folder import EmbeddedDatabaseError, Folder
from timerproject.embedded.server import EmbeddedServer

_START_AND_STAY = """
import sys
from timerproject.embedded.folder import Folder
from timerproject.embedded.server import EmbeddedServer
server = EmbeddedServer(Folder.at(sys.argv[1]))
server.start()
print(server.pid(), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedServer]:
    made = EmbeddedServer(Folder.at(tmp_path / "var"))
    yield made
    made.stop()


def sql(server: EmbeddedServer, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(**server.folder.parameters(), autocommit=True) as connection:
        answer = connection.execute(statement)
        return answer.fetchall() if answer.description else []


def test_a_fresh_folder_serves_durably_and_stops(server: EmbeddedServer) -> None:
    assert server.start() is True
    assert server.start() is False
    assert sql(
        server, "SELECT current_setting('fsync'), current_setting('jit'), current_setting('data_checksums')"
    ) == [("on", "off", "on")]
    assert sql(server, "SELECT current_setting('listen_addresses'), current_setting('max_connections')") == [
        ("", "100")
    ]
    assert server.folder.root.stat().st_mode & 0o077 == 0
    assert server.stop() is True
    assert server.stop() is False
    assert not server.answers()


def test_two_starts_at_once_make_one_server(server: EmbeddedServer) -> None:
    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(lambda _: server.start(), range(4))) == [False, False, False, True]


def test_a_killed_initdb_leaves_no_half_cluster(server: EmbeddedServer) -> None:
    server.folder.new_data.mkdir(parents=True)
    (server.folder.new_data / "PG_VERSION").write_text("18\n")
    assert server.start() is True
    assert sql(server, "SELECT 1") == [(1,)]
    assert not server.folder.new_data.exists()


@pytest.mark.parametrize("whole_tree", [True, False], ids=["whole tree", "postmaster alone"])
def test_what_was_committed_outlives_kill_9(server: EmbeddedServer, whole_tree: bool) -> None:
    server.start()
    sql(server, "CREATE TABLE kept (n int)")
    sql(server, "INSERT INTO kept SELECT generate_series(1, 200)")
    pid = server.pid()
    assert pid
    if whole_tree:
        os.killpg(pid, signal.SIGKILL)
    else:
        os.kill(pid, signal.SIGKILL)
    assert server.start() is True
    assert sql(server, "SELECT count(*) FROM kept") == [(200,)]


def test_a_dead_server_that_nobody_reaps_is_no_obstacle(server: EmbeddedServer) -> None:
    """As long as its parent lives and does not look, the number of the dead one is taken."""
    parent = subprocess.Popen(
        [sys.executable, "-c", _START_AND_STAY, str(server.folder.root)], cwd=settings.BASE_DIR,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert parent.stdin and parent.stdout
    with parent:
        pid = int(parent.stdout.readline())
        os.killpg(pid, signal.SIGKILL)
        eventually(lambda: not server.pid())
        os.kill(pid, 0)
        assert server.start() is True
        assert sql(server, "SELECT 1") == [(1,)]
        parent.stdin.close()


def test_a_strangers_process_with_the_number_of_a_dead_server_is_no_obstacle_and_is_left_alone(
    server: EmbeddedServer,
) -> None:
    server.start()
    server.stop()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as stranger:
        assert stranger.stdin
        server.folder.pid_file.write_text(f"{stranger.pid}\n{server.folder.data}\n1\n5432\n\n\n")
        assert server.stop() is False
        assert server.start() is True
        assert stranger.poll() is None
        stranger.stdin.close()


def test_a_long_path_is_served_by_a_short_socket(tmp_path: Path) -> None:
    server = EmbeddedServer(Folder.at(tmp_path / ("long" * 30) / "var"), durable=False)
    try:
        server.start()
        assert sql(server, "SELECT 1") == [(1,)]
        assert len(str(server.folder.socket_folder)) < 60
        assert server.folder.socket_folder.stat().st_mode & 0o077 == 0
    finally:
        server.stop()
        server.folder.socket_folder.rmdir()


def test_a_socket_folder_that_others_can_write_is_refused(tmp_path: Path) -> None:
    folder = Folder.at(tmp_path / ("long" * 30) / "var")
    folder.socket_folder.mkdir()
    folder.socket_folder.chmod(0o777)
    try:
        with pytest.raises(EmbeddedDatabaseError, match="is not a private folder of yours"):
            EmbeddedServer(folder).start()
    finally:
        folder.socket_folder.rmdir()


def test_a_cluster_of_another_version_is_never_started(server: EmbeddedServer) -> None:
    server.folder.data.mkdir(parents=True)
    (server.folder.data / "PG_VERSION").write_text("9\n")
    with pytest.raises(EmbeddedDatabaseError, match=r"was made by PostgreSQL 9.*pg_dump"):
        server.start()


def test_a_server_that_cannot_start_says_the_last_lines_of_its_log(tmp_path: Path) -> None:
    server = EmbeddedServer(Folder.at(tmp_path), durable=False, settings={"shared_buffers": "nonsense"})
    with pytest.raises(EmbeddedDatabaseError, match=r"(?s)did not start; .*pg\.log ends with:.*shared_buffers"):
        server.start()


def test_who_did_not_start_it_leaves_it_running(server: EmbeddedServer) -> None:
    with server.in_use() as first:
        with server.in_use() as second:
            assert (first, second) == (True, False)
        assert server.answers()
    assert not server.answers()


def test_who_started_it_leaves_it_running_while_others_use_it(server: EmbeddedServer) -> None:
    with ExitStack() as others:
        with server.in_use():
            others.enter_context(server.in_use())
        assert server.answers()


def test_programs_that_are_not_there_are_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(
        EmbeddedDatabaseError, match=f"TIMERS_PG_BIN is {tmp_path}, but there is no PostgreSQL 14 or newer"
    ):
        EmbeddedServer(Folder.at(tmp_path / "var"), pg_bin=str(tmp_path)).start()


@pytest.mark.skipif(os.geteuid() != 0, reason="about root alone")
def test_root_without_namespaces_hands_the_server_to_another_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tempfile.TemporaryDirectory() as reachable:
        Path(reachable).chmod(0o755)
        monkeypatch.setattr(run_as, "ELSEWHERE", Path(reachable))
        monkeypatch.setattr(run_as, "namespaces_work", lambda: False)
        server = EmbeddedServer(Folder.at(tmp_path / "var"), durable=False)
        try:
            server.start()
            assert sql(server, "SELECT 1") == [(1,)]
            assert server.folder.data.is_symlink()
            assert server.folder.data.stat().st_uid != 0
            server.stop()
            assert server.start() is True
            assert sql(server, "SELECT 1") == [(1,)]
        finally:
            server.stop()
