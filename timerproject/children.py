"""Run several processes in one terminal: prefix their output, restart them when they die, and stop them in order.

A single loop without threads waits for output, for the end of a child and for signals at once.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO, Final

from timerproject.pauses import Pauses

READY_WITHIN: Final = 60.0

_PR_SET_PDEATHSIG: Final = 1
_libc: Final = ctypes.CDLL(None)


class CannotStart(Exception):
    """Raised when a child ends before it is ready, or is not ready in time; its output was printed before."""


@dataclass
class Child:
    """One process of the group. `is_ready` is called with its id until it returns true; `stop_within` in seconds."""

    name: str
    command: list[str]
    folder: Path
    is_ready: Callable[[int], bool]
    stop_within: float
    process: subprocess.Popen[bytes] | None = None
    pauses: Pauses = field(default_factory=Pauses)
    restart_at: float = 0.0
    half_line: bytes = b""

    def start(self) -> IO[bytes]:
        """Start the process and return its output."""
        self.pauses.started(time.monotonic())
        # Own process group: Ctrl-C in the terminal must reach only the process that stops the others in order.
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            cwd=self.folder, process_group=0, preexec_fn=_end_with_parent,  # noqa: PLW1509 - this process has no threads
        )  # fmt: skip
        assert self.process.stdout
        os.set_blocking(self.process.stdout.fileno(), False)
        return self.process.stdout

    @property
    def lives(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def signal(self, sign: signal.Signals) -> None:
        if self.process and self.lives:
            self.process.send_signal(sign)

    def how_it_ended(self) -> str:
        assert self.process
        code = self.process.poll() or 0
        return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"


@dataclass
class Children:
    """The group of child processes. `say` gets the name of a child and a line of its output or of the group's notes.

    `beside` is called every half second while the children are up, to watch things that are not children.
    """

    members: Sequence[Child]
    say: Callable[[str, str], None]
    beside: Callable[[], None] = lambda: None
    signals: int = 0
    _selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)

    def run(self, on_ready: Callable[[], None]) -> None:
        """Start all children, call `on_ready`, restart those that die, and stop all in order on SIGINT or SIGTERM.

        Raises CannotStart, after all of them are stopped.
        """
        with self._listening():
            try:
                for child in self.members:
                    self._start(child)
                if self._wait_until_ready():
                    on_ready()
                while not self.signals:
                    self._restart_the_dead()
                    self.beside()
                    self._pump(0.5)
            finally:
                self._stop_in_order()

    def _start(self, child: Child) -> None:
        self._selector.register(child.start(), selectors.EVENT_READ, child)

    def _wait_until_ready(self) -> bool:
        deadline = time.monotonic() + READY_WITHIN
        waiting = list(self.members)
        while waiting and not self.signals:
            self._pump(0.1)
            for child in waiting:
                assert child.process
                if not child.lives:
                    self._drain_output(child)
                    raise CannotStart(
                        f"{child.name} {child.how_it_ended()} before it was ready; its last lines are above."
                    )
            waiting = [child for child in waiting if child.process and not child.is_ready(child.process.pid)]
            if waiting and time.monotonic() > deadline:
                raise CannotStart(f"{waiting[0].name} was not ready within {READY_WITHIN:g} seconds.")
        return not self.signals

    def _restart_the_dead(self) -> None:
        now = time.monotonic()
        for child in self.members:
            if child.lives:
                continue
            if not child.restart_at:
                self._drain_output(child)
                wait = child.pauses.next(now)
                child.restart_at = now + wait
                self.say(child.name, f"{child.how_it_ended()}; starting it again in {wait:g} s")
            elif now >= child.restart_at:
                child.restart_at = 0.0
                self._start(child)

    def _stop_in_order(self) -> None:
        for child in self.members:
            if not child.lives:
                continue
            self.say(child.name, "stopping")
            seen, deadline = self.signals, time.monotonic() + child.stop_within
            child.signal(signal.SIGTERM)
            while child.lives and time.monotonic() < deadline:
                self._pump(0.1)
                if self.signals > seen:  # another Ctrl-C: stop at once
                    seen = self.signals
                    child.signal(signal.SIGTERM)
            if child.lives:
                self.say(child.name, f"did not stop within {child.stop_within:g} s and is killed")
                child.signal(signal.SIGKILL)
            assert child.process
            child.process.wait()
            self._drain_output(child)

    def _pump(self, seconds: float) -> None:
        """Forward the output of the children, for at most this many seconds."""
        for key, _ in self._selector.select(seconds):
            if isinstance(key.data, Child):
                self._read(key.data)
            else:
                os.read(key.fd, 1024)

    def _read(self, child: Child) -> bool:
        """Forward the available output; return False if there is nothing more now."""
        assert child.process
        assert child.process.stdout
        try:
            chunk = os.read(child.process.stdout.fileno(), 65536)
        except (BlockingIOError, ValueError):
            return False
        if not chunk:
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(child.process.stdout)
        *lines, child.half_line = (child.half_line + chunk).split(b"\n")
        for line in lines:
            self.say(child.name, line.decode(errors="replace").rstrip("\r"))
        return bool(chunk)

    def _drain_output(self, child: Child) -> None:
        """Forward the remaining output of a child that has ended."""
        assert child.process
        assert child.process.stdout
        while self._read(child):
            pass
        if child.half_line:
            self.say(child.name, child.half_line.decode(errors="replace"))
            child.half_line = b""
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(child.process.stdout)
        child.process.stdout.close()

    @contextlib.contextmanager
    def _listening(self) -> Iterator[None]:
        """Count signals; each one interrupts a wait."""
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        self._selector.register(reader, selectors.EVENT_READ, None)
        before = {sign: signal.signal(sign, self._count) for sign in (signal.SIGINT, signal.SIGTERM)}
        wakeup = signal.set_wakeup_fd(writer)
        try:
            yield
        finally:
            signal.set_wakeup_fd(wakeup)
            for sign, handler in before.items():
                signal.signal(sign, handler)
            self._selector.close()
            os.close(reader)
            os.close(writer)

    def _count(self, number: int, frame: FrameType | None) -> None:
        self.signals += 1


def _end_with_parent() -> None:
    """Request SIGTERM for when the parent is killed, so that the port is freed (called between fork and exec)."""
    if sys.platform.startswith("linux"):
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
