"""A real node of the measured installation: started, observed from outside, stopped in order."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from django.db import connection

from timerproject.bench.ground import Ground, due_one_shots
from timers.worker.memory import resident_bytes

READY_WITHIN: Final = 60.0
STOPS_WITHIN: Final = 60.0
TICKS: Final = os.sysconf("SC_CLK_TCK")


class NodeFailed(Exception):
    """Raised when the node did not start, or ended while it was needed."""


class NodeProcess:
    """`manage.py runtimerworker` for the partition of a ground, with all its workers warmed up."""

    def __init__(
        self,
        ground: Ground,
        *,
        workers: int,
        threads: int | None = None,
        concurrency: int | None = None,
        settings: Mapping[str, str] | None = None,
        name: str = "",
    ) -> None:
        self._ground = ground
        self._name = f"{ground.partition}-{name}" if name else ground.partition
        self._workers = workers
        self._words = [
            sys.executable, "-m", "django", "runtimerworker", "--name", self._name,
            "--partition", ground.partition, "--workers", str(workers),
            *(["--threads", str(threads)] if threads else []),
            *(["--concurrency", str(concurrency)] if concurrency else []),
        ]  # fmt: skip
        self._environment = {**os.environ, **(settings or {})}
        self._log = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115 - closed on exit

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._words, stdout=self._log, stderr=self._log, cwd=Path.cwd(), env=self._environment
        )
        try:
            self._warm_up()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def check(self) -> None:
        """Raise NodeFailed if the node has ended."""
        if self._process.poll() is not None:
            self._log.seek(0)
            last = self._log.read()[-2000:]
            raise NodeFailed(f"the node ended with exit code {self._process.returncode}; its log ends:\n{last}")

    @property
    def processes(self) -> list[int]:
        """Ids of the supervisor and all processes under it."""
        children: dict[int, list[int]] = {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            if (fields := _stat(stat)) is not None:
                children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
        found = [self._process.pid]
        for pid in found:
            found += children.get(pid, [])
        return found

    @property
    def cpu_seconds(self) -> float:
        """CPU time in seconds used so far by supervisor and workers."""
        stats = [_stat(Path(f"/proc/{pid}/stat")) for pid in self.processes]
        return sum(int(fields[11]) + int(fields[12]) for fields in stats if fields is not None) / TICKS

    @property
    def resident_mb(self) -> float:
        """Memory of supervisor and workers in megabytes, shared pages counted for each."""
        return round(resident_bytes(self.processes) / 1e6, 1)

    def _warm_up(self) -> None:
        """Give the node small batches until each worker has run some."""
        group = self._ground.group(f"warm-up-{self._name}", max_batch=5)
        deadline = time.monotonic() + READY_WITHIN
        while time.monotonic() < deadline:
            self.check()
            due_one_shots(group.name, 20 * self._workers)
            time.sleep(0.3)
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT count(DISTINCT worker) FROM timers_attempt WHERE group_id = %s AND node = %s",
                    (group.id, self._name),
                )
                if cursor.fetchone()[0] == self._workers:
                    return
        raise NodeFailed(f"not all {self._workers} workers took timers within {READY_WITHIN:g} s")

    def _stop(self) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(STOPS_WITHIN)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._log.close()


@contextmanager
def running_nodes(
    ground: Ground, count: int, *, workers: int, threads: int | None = None
) -> Iterator[list[NodeProcess]]:
    """Run `count` nodes named 1, 2, ... with `workers` workers each; all are warm before the first is used."""
    with ExitStack() as running:
        yield [
            running.enter_context(NodeProcess(ground, workers=workers, threads=threads, name=str(number)))
            for number in range(1, count + 1)
        ]


def _stat(path: Path) -> list[str] | None:
    """Return the fields of /proc/<pid>/stat after the program's name; None for a process that has ended."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
