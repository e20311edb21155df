"""The parts of ending descendants that need no node; tests/cluster has the rest."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator

import pytest

from tests.support.eventually import eventually
from timers.worker import descendants, guardian
from timers.worker.descendants import ADOPTED_SECONDS, AdoptedProcesses

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

SLEEP = [sys.executable, "-c", "import sys, time; sys.stdout.write('x'); sys.stdout.flush(); time.sleep(100)"]


@pytest.fixture
def marked() -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A program that carries a mark, and has begun."""
    mark = uuid.uuid4().hex
    environment = {**os.environ, guardian.MARK: mark}
    with subprocess.Popen(SLEEP, env=environment, stdout=subprocess.PIPE, start_new_session=True) as program:
        assert program.stdout is not None and program.stdout.read(1) == b"x"
        yield mark, program
        program.kill()


def test_guardian_finds_a_program_by_its_mark_and_by_its_session(marked: tuple[str, subprocess.Popen[bytes]]) -> None:
    mark, program = marked
    assert list(guardian.processes_of(mark, ())) == [program.pid]
    assert list(guardian.processes_of("another", [program.pid])) == [program.pid]
    assert list(guardian.processes_of("another", ())) == []


def test_guardian_ends_what_it_watches_when_its_pipe_ends(marked: tuple[str, subprocess.Popen[bytes]]) -> None:
    mark, program = marked
    with subprocess.Popen([sys.executable, "-I", "-S", guardian.__file__, mark], stdin=subprocess.PIPE) as watcher:
        assert watcher.stdin is not None
        watcher.stdin.write(b"+4000000\n-4000000\n")
        watcher.stdin.flush()
        assert program.poll() is None
        watcher.stdin.close()
        assert program.wait(20) == -9
        assert watcher.wait(20) == 0


def test_guardian_knows_the_workers_that_live_when_it_starts(marked: tuple[str, subprocess.Popen[bytes]]) -> None:
    _, program = marked
    words = [sys.executable, "-I", "-S", guardian.__file__, "another", str(program.pid)]
    assert subprocess.run(words, stdin=subprocess.DEVNULL, timeout=20, check=True).returncode == 0
    assert program.wait(20) == -9


def test_ended_child_is_collected_only_when_nobody_has_waited_for_long() -> None:
    child = subprocess.Popen(["true"])
    eventually(lambda: (found := guardian.read_process(child.pid)) is not None and found.state == "Z")
    adopted = AdoptedProcesses()
    adopted.collect(100.0)
    adopted.collect(100.0 + ADOPTED_SECONDS - 1)
    assert guardian.read_process(child.pid) is not None
    adopted.collect(100.0 + ADOPTED_SECONDS)
    assert guardian.read_process(child.pid) is None
    child.wait()


def test_children_of_a_process_are_listed() -> None:
    with subprocess.Popen(["sleep", "100"]) as child:
        assert child.pid in descendants.children_of(os.getpid())
        child.kill()
    assert child.pid not in descendants.children_of(os.getpid())
