"""Real, tiny processes under one terminal's loop."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from timerproject import pauses
from timerproject.children import CannotStart, Child, Children

PATIENT = "trap 'echo bye; exit 0' TERM; echo here; while :; do sleep 0.02; done"


class Group:
    """Children made of shell lines, and what was said of them."""

    def __init__(self, **scripts: str) -> None:
        self.said: list[tuple[str, str]] = []
        self.children = Children([self.child(name, script) for name, script in scripts.items()], self.say)

    def child(self, name: str, script: str) -> Child:
        return Child(
            name, ["/bin/sh", "-c", script], Path("/"), is_ready=lambda _: (name, "here") in self.said, stop_within=5
        )

    def say(self, name: str, line: str) -> None:
        self.said.append((name, line))

    def lines(self, name: str) -> list[str]:
        return [line for said_by, line in self.said if said_by == name]

    def run_until_ready(self, then: int = signal.SIGTERM) -> None:
        self.children.run(on_ready=lambda: os.kill(os.getpid(), then))


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_them_one_after_the_other_in_order(sign: int) -> None:
    group = Group(node=PATIENT, web=PATIENT)
    group.run_until_ready(sign)
    assert [entry for entry in group.said if entry[1] != "here"] == [
        ("node", "stopping"), ("node", "bye"), ("web", "stopping"), ("web", "bye"),
    ]  # fmt: skip


def test_one_that_ends_before_it_is_ready_stops_all() -> None:
    group = Group(node=PATIENT, web="echo the reason; exit 3")
    with pytest.raises(CannotStart, match="web ended with exit code 3 before it was ready"):
        group.run_until_ready()
    assert group.lines("web") == ["the reason"]
    assert not any(child.lives for child in group.children.members)


def test_one_that_dies_later_is_started_again_after_a_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pauses, "SHORTEST_WAIT", 0.05)
    group = Group(node=PATIENT, web=PATIENT)
    web = group.children.members[1]

    def stop_when_it_is_back(name: str, line: str) -> None:
        group.said.append((name, line))
        # Only at that line: a signal at a later one, too, reached a child in the middle of its last words.
        if (name, line) == ("web", "here") and group.lines("web").count("here") == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    group.children.say = stop_when_it_is_back
    group.children.run(on_ready=lambda: web.signal(signal.SIGKILL))
    assert "was ended by SIGKILL; starting it again in 0.05 s" in group.lines("web")
    assert group.lines("web")[-2:] == ["stopping", "bye"]


def test_one_that_will_not_stop_is_killed_when_its_time_is_over() -> None:
    group = Group(deaf="trap '' TERM; echo here; while :; do sleep 0.02; done")
    group.children.members[0].stop_within = 0.2
    begin = time.monotonic()
    group.run_until_ready()
    assert time.monotonic() - begin < 4
    assert "did not stop within 0.2 s and is killed" in group.lines("deaf")


def test_a_last_line_without_an_end_is_not_lost() -> None:
    group = Group(node="trap 'printf last; exit 0' TERM; echo here; while :; do sleep 0.02; done")
    group.run_until_ready()
    assert group.lines("node")[-1] == "last"


def test_the_handlers_of_signals_are_put_back() -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    Group(node=PATIENT).run_until_ready()
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before
