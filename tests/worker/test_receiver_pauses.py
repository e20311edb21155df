from __future__ import annotations

import pytest
from django.db import OperationalError

from timers.control.gone_receivers import GoneReceivers
from timers.worker import receiver_pauses as receiver_pauses_module
from timers.worker.receiver_pauses import ReceiverPauses

FIRST: GoneReceivers = {("work", "billing"): "status 410"}
SECOND: GoneReceivers = {("work", "audit"): "status 410"}


def test_pauses_are_repeated_after_a_database_error_and_not_after_another_error(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tried: list[object] = []
    errors: list[Exception | None] = [OperationalError("the database is unavailable"), ValueError("no"), None]

    def pause(gone: GoneReceivers) -> None:
        tried.append(gone)
        if (error := errors.pop(0)) is not None:
            raise error

    monkeypatch.setattr(receiver_pauses_module, "pause_gone_receivers", pause)
    pauses = ReceiverPauses()
    pauses.put(FIRST | SECOND)
    with pytest.raises(OperationalError):
        pauses.step()
    assert pauses.pending == 2
    assert pauses.step() > 60
    assert tried == [FIRST, FIRST, SECOND]
    assert "work/billing" in caplog.text
    assert pauses.pending == 0


def test_receiver_that_comes_during_a_pause_is_paused_next(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses = ReceiverPauses()
    paused: list[GoneReceivers] = []

    def pause(gone: GoneReceivers) -> None:
        paused.append(gone)
        pauses.put(SECOND if gone == FIRST else {})

    monkeypatch.setattr(receiver_pauses_module, "pause_gone_receivers", pause)
    pauses.put(FIRST)
    assert pauses.step() == 0
    assert pauses.step() > 60
    assert paused == [FIRST, SECOND]
