from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.executions import execution, served_group
from tests.support.handlers import TemporaryHandlers
from timers import handlers as registry
from timers.clock import DatabaseClock
from timers.domain.policies import Policies
from timers.engine import errors
from timers.engine.outcome import impossible
from timers.exceptions import InvalidRequest
from timers.handlers import Discard, Fail, Retry, Snooze
from timers.schedules.instant import from_microseconds
from timers.worker import run_log
from timers.worker.attempts import find_work, overran, raised, returned, started_at, time_limit


def test_the_handler_of_the_action_is_found(handlers: TemporaryHandlers) -> None:
    assert find_work(execution("tests.noop")) is registry.find("tests.noop")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"poison": "the payload cannot be read"}, "the payload cannot be read"),
        ({"action": None, "group": served_group(3)}, "no handler: neither the timer nor its group 'group-3'"),
        ({}, "no handler named 'tests.nobody' is registered on this node"),
    ],
)
def test_why_there_is_none_is_told(fields: dict[str, Any], reason: str) -> None:
    found = find_work(execution("tests.nobody", **fields))
    assert isinstance(found, str)
    assert reason in found


def test_the_handlers_own_limit_goes_before_the_groups(handlers: TemporaryHandlers) -> None:
    handlers.add("tests.limited", timeout=5)
    own, plain = registry.find("tests.limited"), registry.find("tests.noop")
    assert own is not None and plain is not None
    held = execution(policies=Policies(attempt_timeout=33))
    assert (time_limit(held, own), time_limit(held, plain)) == (5, 33)


@pytest.mark.parametrize(
    ("error", "word", "wait", "permanent"),
    [
        (ValueError("x"), "error", None, False),
        (Discard("x"), "discarded", None, False),
        (Retry("x"), "error", None, False),
        (Retry("x", after=7), "error", 7, False),
        (Snooze(9, "x"), "snoozed", 9, False),
        (Fail("x"), "error", None, True),
    ],
)
def test_what_a_handler_raises_says_what_follows(
    error: Exception, word: str, wait: float | None, permanent: bool
) -> None:
    outcome = raised(execution(), error, 5, 7)
    assert (outcome.word, outcome.wait, outcome.permanent) == (word, wait, permanent)
    assert (outcome.started_us, outcome.finished_us) == (5, 7)


def test_an_error_that_cannot_say_its_text_is_recorded_all_the_same() -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    outcome = raised(execution(), Mute(), 1, 2)
    assert outcome.error_title == "Mute: (its text could not be had)"


def test_a_very_long_error_is_cut_where_the_ledger_ends() -> None:
    outcome = raised(execution(), ValueError("x" * 100_000), 1, 2)
    assert len(str(outcome.error_title)) == errors.TITLE_LENGTH
    assert str(outcome.error_title).endswith("...")
    assert len(str(outcome.error_detail)) <= errors.DETAIL_LENGTH


def fault(number: int) -> errors.Description:
    try:
        raise ValueError(f"no vendor {number} at 0x7f{number:x} 'name {number}'")
    except ValueError as error:
        return errors.describe(error)


def test_the_same_fault_has_the_same_fingerprint_whatever_varies_in_its_text() -> None:
    assert fault(1).fingerprint == fault(23).fingerprint
    assert fault(1).title != fault(23).title


def test_another_fault_has_another_fingerprint() -> None:
    prints = {
        errors.fingerprint("ValueError", "a.py:f", "no vendor"),
        errors.fingerprint("KeyError", "a.py:f", "no vendor"),
        errors.fingerprint("ValueError", "b.py:f", "no vendor"),
        errors.fingerprint("ValueError", "a.py:f", "no customer"),
    }
    assert len(prints) == 4


def test_poison_fails_for_good_and_an_unknown_handler_is_tried_again() -> None:
    assert impossible(execution(poison="unreadable"), "unreadable", 1).permanent
    assert not impossible(execution(), "no handler named x", 1).permanent


def test_an_overrun_names_its_limit() -> None:
    assert overran(execution(), 2.5, 1, 2).error_title == "ran longer than its limit of 2.5 s"


@pytest.mark.parametrize(("value", "kept"), [({"a": 1}, '{"a":1}'), ("x" * 8190, '"' + "x" * 8190 + '"'), (None, None)])
def test_a_result_is_kept_as_json(value: Any, kept: str | None) -> None:
    outcome = returned(execution(), value, 1, 2)
    assert (outcome.word, outcome.result, outcome.reason) == ("succeeded", kept, None)


@pytest.mark.parametrize("value", ["x" * 8191, object(), {1: 2}, float("inf"), "\ud800"])
def test_a_result_that_cannot_be_kept_is_told(value: Any) -> None:
    outcome = returned(execution(), value, 1, 2)
    assert (outcome.word, outcome.result) == ("succeeded", None)
    assert str(outcome.reason).startswith("the result was not kept")


def test_a_directive_checks_what_it_is_given() -> None:
    with pytest.raises(InvalidRequest):
        Snooze(-1)


@pytest.fixture
def caught() -> Iterator[logging.Logger]:
    """A logger whose records are caught for the try that runs."""
    catcher = run_log.RunLogHandler(logging.INFO)
    catcher.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    logger = logging.getLogger("tests.run_log")
    logger.addHandler(catcher)
    logger.setLevel(logging.DEBUG)
    yield logger
    logger.removeHandler(catcher)


def test_what_a_handler_logs_is_kept_with_its_try_and_no_other(caught: logging.Logger) -> None:
    caught.info("before")
    run_log.begin()
    caught.info("one")
    caught.debug("not this")
    caught.warning("two")
    assert run_log.end() == "INFO one\nWARNING two"
    caught.info("after")
    assert run_log.end() is None


def test_threads_do_not_mix_their_logs(caught: logging.Logger) -> None:
    logs: dict[int, str | None] = {}
    together = threading.Barrier(4)

    def work(number: int) -> None:
        run_log.begin()
        for _ in range(20):
            together.wait()
            caught.info("%d", number)
        logs[number] = run_log.end()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=10)
    assert logs == {number: "\n".join([f"INFO {number}"] * 20) for number in range(4)}


def test_a_log_is_cut_at_its_limit_and_made_storable(caught: logging.Logger) -> None:
    run_log.begin()
    caught.info("NUL \x00")
    for _ in range(100):
        caught.info("x" * 1000)
    log = str(run_log.end())
    assert len(log) <= run_log.MAX_CHARACTERS
    assert log.startswith("INFO NUL \\x00\n")


def test_a_log_call_with_wrong_arguments_does_not_fail_its_handler(
    caught: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", False)
    run_log.begin()
    caught.info("%d", "no number")
    caught.info("fine")
    assert run_log.end() == "INFO fine"


def test_no_try_begins_before_its_instant_though_the_clock_was_put_back(handlers: TemporaryHandlers) -> None:
    held = execution(available_us=5_000_000)
    ahead, behind = (DatabaseClock(from_microseconds(us)) for us in (6_000_000, 4_000_000))
    assert started_at(held, behind) == 5_000_000
    assert started_at(held, ahead) >= 6_000_000
