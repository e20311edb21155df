"""The watch over a registration that does not come through."""

from __future__ import annotations

import threading

import pytest

from timers.server.commit_waits import CommitWait
from timers.worker import registering as registering_module
from timers.worker.registering import Registering


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Set when the process would have ended."""
    event = threading.Event()

    def end(code: int) -> None:
        event.set()
        raise SystemExit

    monkeypatch.setattr(registering_module.os, "_exit", end)
    monkeypatch.setattr(registering_module.logging, "shutdown", lambda: None)
    monkeypatch.setattr(registering_module, "END_SECONDS", 0.0)
    monkeypatch.setattr(registering_module, "STEP_SECONDS", 0.001)
    return event


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_signal_ends_a_node_whose_registration_does_not_come_through(ended: threading.Event) -> None:
    with Registering() as registering:
        registering.end()
        assert ended.wait(10)


def test_a_registration_that_comes_through_ends_nothing(ended: threading.Event) -> None:
    with Registering():
        pass
    with Registering() as registering:
        registering._thread.join(0.01)
    registering.end()
    registering._thread.join(10)
    assert not ended.is_set()


@pytest.mark.parametrize(
    ("waits", "said"),
    [
        ([CommitWait(4711, "timers", 12.3)], "commits wait for a synchronous standby, for 12 s by now"),
        ([], "no attempt has succeeded yet"),
    ],
)
def test_the_log_says_why_a_node_does_not_come_up(
    waits: list[CommitWait], said: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    told = threading.Event()

    def asked(limit: int) -> list[CommitWait]:
        told.set()
        return waits

    monkeypatch.setattr(registering_module, "commit_waits", asked)
    monkeypatch.setattr(registering_module, "TELL_SECONDS", 0.0)
    monkeypatch.setattr(registering_module, "STEP_SECONDS", 0.001)
    with Registering() as registering:
        assert told.wait(10)
    registering._thread.join(10)
    assert [f"the node waits for its registration: {said}" == record.message for record in caplog.records] == [True]
