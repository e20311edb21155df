"""Any exception can be described, quickly, whatever it does about it."""

from __future__ import annotations

import time

import pytest

from tests.support.executions import execution
from tests.support.hostile import HOSTILE, hostile
from timers.engine import errors
from timers.worker.attempts import raised


@pytest.mark.parametrize("name", HOSTILE)
def test_exception_becomes_an_error_outcome_whatever_it_is(name: str) -> None:
    outcome = raised(execution(), hostile(name), 1, 2)
    assert outcome.word == "error"
    title, detail = str(outcome.error_title), str(outcome.error_detail)
    assert 0 < len(title) <= errors.TITLE_LENGTH
    assert 0 < len(detail) <= errors.DETAIL_LENGTH
    assert outcome.error_fingerprint
    (title + detail).encode()
    assert "\x00" not in title + detail


def test_long_chain_is_shown_by_its_last_exception_alone() -> None:
    described = errors.describe(hostile("long chain"))
    assert described.title == "ValueError: outer"
    assert "innermost" not in described.detail


def test_short_chain_is_shown_in_full() -> None:
    try:
        try:
            raise ValueError("first")
        except ValueError as error:
            raise KeyError("second") from error
    except KeyError as error:
        detail = errors.describe(error).detail
    assert detail.index("first") < detail.index("direct cause") < detail.index("second")


@pytest.mark.parametrize("wait", [float("nan"), float("inf"), -1, "soon", object()])
def test_directive_with_a_spoilt_wait_is_an_error(wait: object) -> None:
    from timers.handlers import Snooze

    directive = Snooze(5)
    directive.seconds = wait  # type: ignore[assignment]
    outcome = raised(execution(), directive, 1, 2)
    assert (outcome.word, outcome.wait) == ("error", None)
    assert str(outcome.error_title).startswith("Snooze: its meaning cannot be read")


def test_result_that_stands_for_endless_values_is_refused_at_once() -> None:
    from timers.worker.attempts import returned

    value: list[object] = [1]
    for _ in range(30):
        value = [value] * 10
    began = time.process_time()
    outcome = returned(execution(), value, 1, 2)
    assert outcome.word == "succeeded"
    assert str(outcome.reason).startswith("the result was not kept: ")
    assert time.process_time() - began < 1, "it is not walked"
