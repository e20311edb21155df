"""What one handler leaves behind harms no other, and makes its own try an error that names it."""

from __future__ import annotations

import asyncio
import contextvars
import decimal
import gc
import io
import locale
import logging
import logging.config
import os
import resource
import signal
import socket
import ssl
import sys
import threading
import time
import tracemalloc
import warnings
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.signals import setting_changed
from django.test import override_settings
from django.utils import timezone, translation

from tests.support.executions import execution
from tests.worker.handler_thread import Thread, doing
from timers.handlers import Discard, Fire, Snooze
from timers.worker import process_state, state_kinds

variable: ContextVar[str] = ContextVar("tests_variable", default="untouched")


def in_time_zone() -> None:
    os.environ["TZ"] = "Asia/Tokyo"
    time.tzset()


CHANGES: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
    "the current directory": (lambda: os.chdir("/"), os.getcwd),
    "the umask": (lambda: os.umask(0o123), state_kinds._read_umask),
    "environment variables (TESTS_LEFT)": (
        lambda: os.environ.update(TESTS_LEFT="x"),
        lambda: os.environ.get("TESTS_LEFT"),
    ),
    "environment variables (PATH)": (lambda: os.environ.pop("PATH"), lambda: os.environ.get("PATH")),
    "the local time zone": (in_time_zone, lambda: time.tzname),
    "the locale": (lambda: locale.setlocale(locale.LC_TIME, "C.UTF-8"), lambda: locale.setlocale(locale.LC_ALL)),
    "warning filters": (lambda: warnings.simplefilter("error"), lambda: list(warnings.filters)),
    "the default socket timeout": (lambda: socket.setdefaulttimeout(7), socket.getdefaulttimeout),
    "the recursion limit": (lambda: sys.setrecursionlimit(5432), sys.getrecursionlimit),
    "the thread switch interval": (lambda: sys.setswitchinterval(0.01), sys.getswitchinterval),
    # By name: the functions are wrapped later.
    "the garbage collector": (lambda: gc.disable(), gc.isenabled),  # noqa: PLW0108
    "disabled logging": (lambda: logging.disable(), lambda: logging.root.manager.disable),  # noqa: PLW0108
    "the asyncio event loop policy": (
        lambda: asyncio.set_event_loop_policy(asyncio.DefaultEventLoopPolicy()),
        lambda: asyncio.events._event_loop_policy,  # type: ignore[attr-defined]
    ),
    "an interval timer": (
        lambda: signal.setitimer(signal.ITIMER_REAL, 1000),
        lambda: signal.getitimer(signal.ITIMER_REAL)[0] > 0,
    ),
    "blocked signals": (
        lambda: signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2]),
        lambda: signal.pthread_sigmask(signal.SIG_BLOCK, []),
    ),
    "a trace function": (lambda: sys.settrace(lambda *_: None), sys.gettrace),
    "a profile function": (lambda: sys.setprofile(lambda *_: None), sys.getprofile),
    "a trace function of new threads": (lambda: threading.settrace(lambda *_: None), threading.gettrace),
    "a profile function of new threads": (lambda: threading.setprofile(lambda *_: None), threading.getprofile),
    "the stack size of new threads": (lambda: threading.stack_size(1 << 20), state_kinds._read_stack_size),
    "tracing of memory": (lambda: tracemalloc.start(), tracemalloc.is_tracing),  # noqa: PLW0108
    "the root logger": (lambda: logging.getLogger().setLevel(logging.CRITICAL), lambda: logging.root.level),
    "or disabled loggers": (
        lambda: logging.config.dictConfig({"version": 1}),
        lambda: (list(logging.root.handlers), logging.getLogger("timers.worker").disabled),
    ),
    "settings (USE_TZ)": (lambda: setattr(settings, "USE_TZ", False), lambda: settings.USE_TZ),
    "settings (DEBUG, TESTS_LEFT)": (
        lambda: override_settings(DEBUG=True, TESTS_LEFT=1).enable(),
        lambda: (settings.DEBUG, hasattr(settings, "TESTS_LEFT")),
    ),
    "settings (INSTALLED_APPS)": (lambda: delattr(settings, "INSTALLED_APPS"), lambda: settings.INSTALLED_APPS),
    "resource limits (RLIMIT_NOFILE)": (
        lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (99, resource.getrlimit(resource.RLIMIT_NOFILE)[1])),
        lambda: resource.getrlimit(resource.RLIMIT_NOFILE),
    ),
    "resource limits (RLIMIT_CPU)": (
        lambda: resource.prlimit(0, resource.RLIMIT_CPU, (1_000_000, resource.getrlimit(resource.RLIMIT_CPU)[1])),
        lambda: resource.getrlimit(resource.RLIMIT_CPU),
    ),
    "the processor affinity": (
        lambda: os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}),
        lambda: os.sched_getaffinity(0),
    ),
    "sys.excepthook": (lambda: setattr(sys, "excepthook", print), lambda: sys.excepthook),
    "threading.excepthook": (lambda: setattr(threading, "excepthook", print), lambda: threading.excepthook),
    "ssl._create_default_https_context": (
        lambda: setattr(ssl, "_create_default_https_context", ssl._create_unverified_context),
        lambda: ssl._create_default_https_context,
    ),
    "sys.path": (lambda: sys.path.insert(0, "/tests-left"), lambda: list(sys.path)),
    "sys.stdout": (lambda: setattr(sys, "stdout", io.StringIO()), lambda: sys.stdout),
    "sys.stderr": (lambda: setattr(sys, "stderr", io.StringIO()), lambda: sys.stderr),
}


@pytest.mark.parametrize("name", CHANGES)
def test_change_of_the_process_is_undone_and_fails_the_handler(thread: Thread, name: str) -> None:
    change, read = CHANGES[name]
    seen: list[Any] = []
    outcomes = thread.run(
        doing(lambda: seen.append(read())), doing(change), doing(lambda: seen.append(read())), lambda fire: "fine"
    )
    assert [outcome.word for outcome in outcomes] == ["succeeded", "error", "succeeded", "succeeded"]
    assert name in str(outcomes[1].error_title)
    assert str(outcomes[1].error_title).startswith("the handler left behind: ")
    assert seen[0] == seen[1]


def test_entry_that_a_late_import_appends_to_the_path_stays(thread: Thread, caplog: pytest.LogCaptureFixture) -> None:
    before = list(sys.path)
    caplog.set_level(logging.INFO, "timers.worker.process_state")
    try:
        outcomes = thread.run(doing(lambda: sys.path.append("/tests-late")), lambda fire: "fine", lambda fire: "fine")
        assert {outcome.word for outcome in outcomes} == {"succeeded"}
        assert sys.path == [*before, "/tests-late"]
        assert caplog.text.count("/tests-late was appended") == 1
    finally:
        sys.path[:] = before


@pytest.mark.parametrize(
    "change",
    [
        lambda: sys.path.append("/tests-late"),
        lambda: sys.path.pop(0),
        lambda: sys.path.__setitem__(0, "/tests-other"),
        lambda: sys.path.__setitem__(slice(None), ["/tests-other"]),
        lambda: setattr(sys, "path", [*sys.path, "/tests-other"]),
    ],
    ids=["appended twice", "removed", "replaced", "all replaced", "another list"],
)
def test_other_change_of_the_path_is_undone_and_keeps_what_was_appended(
    thread: Thread, change: Callable[[], Any]
) -> None:
    own, before = sys.path, list(sys.path)
    try:
        first, second = thread.run(doing(lambda: sys.path.append("/tests-late")), doing(change))
        assert (first.word, second.error_title) == ("succeeded", "the handler left behind: sys.path")
        assert sys.path is own
        assert sys.path == [*before, "/tests-late"]
    finally:
        sys.path = own
        sys.path[:] = before


def test_suspects_of_a_change_that_a_busy_process_keeps_are_bounded(
    watched: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sys, "excepthook", print)
    for number in range(100):
        assert process_state.left_by(execution(name=f"timer-{number // 2}"), lambda: False) == []
    (suspects,) = process_state._suspected.values()
    assert len(suspects) == len(set(suspects)) == process_state.MOST_SUSPECTS
    assert process_state.left_by(execution("last"), lambda: True) == []
    assert "sys.excepthook was changed and is put back; one of " in caplog.text
    assert process_state._suspected == {}


def test_priority_is_put_back_or_the_worker_is_replaced(thread: Thread) -> None:
    # Only a privileged process may raise its priority.
    before = os.getpriority(os.PRIO_PROCESS, 0)
    seen: list[int] = []
    first, _ = thread.run(
        doing(lambda: os.nice(1)), doing(lambda: seen.append(os.getpriority(os.PRIO_PROCESS, 0)))
    )  # fmt: skip
    assert first.error_title == "the handler left behind: the priority"
    assert (seen == [before]) is (process_state.not_restored() is None)


@pytest.mark.parametrize("restore", [None, OSError("not permitted")], ids=["ignored", "refused"])
def test_process_is_replaced_when_something_cannot_be_put_back(
    thread: Thread, monkeypatch: pytest.MonkeyPatch, restore: OSError | None
) -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)

    def refuse(*_: Any) -> None:
        if restore is not None:
            raise restore

    monkeypatch.setattr(state_kinds, "_setrlimit", refuse)
    try:
        (outcome,) = thread.run(doing(lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (99, before[1]))))
        assert outcome.error_title == "the handler left behind: resource limits (RLIMIT_NOFILE)"
        reason = process_state.not_restored()
        assert reason is not None
        assert reason.startswith("resource limits (RLIMIT_NOFILE), left behind by ")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_soft_limit_is_put_back_where_the_hard_one_cannot_be(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = {"RLIMIT_NOFILE": (50, 60)}

    def set_limits(_: int, wanted: tuple[int, int]) -> None:
        if wanted[1] > limits["RLIMIT_NOFILE"][1]:
            raise ValueError("not allowed to raise maximum limit")
        limits["RLIMIT_NOFILE"] = wanted

    monkeypatch.setattr(state_kinds, "_read_limits", limits.copy)
    monkeypatch.setattr(state_kinds, "_setrlimit", set_limits)
    with pytest.raises(ValueError, match="maximum limit"):
        state_kinds._restore_limits({"RLIMIT_NOFILE": (100, 200)})
    assert limits == {"RLIMIT_NOFILE": (60, 60)}


def test_setting_that_was_read_before_is_read_again_after_its_reset(thread: Thread) -> None:
    told: list[str] = []

    def change(fire: Fire) -> None:
        settings.DEFAULT_CHARSET = "ascii"
        assert settings.DEFAULT_CHARSET == "ascii"

    def note(setting: str, **_: Any) -> None:
        told.append(setting)

    setting_changed.connect(note)
    try:
        before = settings.DEFAULT_CHARSET
        thread.run(change)
        assert before == settings.DEFAULT_CHARSET
        assert told == ["DEFAULT_CHARSET"]
    finally:
        setting_changed.disconnect(note)


def test_thread_of_a_library_may_change_its_directory_and_back(thread: Thread) -> None:
    def use_thread(fire: Fire) -> None:
        here = Path.cwd()

        def elsewhere() -> None:
            os.chdir("/")
            os.chdir(here)

        context = contextvars.copy_context()
        helper = threading.Thread(target=context.run, args=(elsewhere,))
        helper.start()
        helper.join()

    (outcome,) = thread.run(use_thread)
    assert outcome.error_title is None


def test_value_that_a_handler_puts_back_itself_is_no_fault(thread: Thread) -> None:
    def tidy(fire: Fire) -> str:
        before = Path.cwd()
        os.chdir("/")
        os.chdir(before)
        os.environ["TESTS_LEFT"] = "x"
        del os.environ["TESTS_LEFT"]
        with warnings.catch_warnings():
            warnings.simplefilter("error")
        return "tidy"

    (outcome,) = thread.run(tidy)
    assert (outcome.word, outcome.result) == ("succeeded", '"tidy"')


def test_directory_of_one_handler_is_not_that_of_another_thread(thread: Thread) -> None:
    here = Path.cwd()
    seen: list[Path] = []

    def elsewhere(fire: Fire) -> None:
        os.chdir("/")
        seen.append(Path.cwd())
        os.chdir(here)

    thread.run(elsewhere)
    assert seen == [Path("/")]
    assert Path.cwd() == here


def test_stack_size_that_the_process_has_set_outlives_the_comparison(thread: Thread) -> None:
    wanted = 1 << 20
    before = threading.stack_size(wanted)
    try:
        first, second = thread.run(
            doing(lambda: threading.stack_size(2 * wanted)), doing(lambda: threading.stack_size(wanted))
        )
        assert (first.word, second.word) == ("error", "succeeded")
        assert threading.stack_size(before) == wanted
    finally:
        threading.stack_size(before)


def test_handler_that_configures_its_own_logger_is_not_blamed_for_the_root_logger(thread: Thread) -> None:
    before = logging.root.level
    own = logging.getLogger("tests.own")

    def configure(fire: Fire) -> None:
        # What a neighbour that still runs does meanwhile is noted under its name; here under nobody's.
        logging.root.level = logging.CRITICAL
        handler = logging.NullHandler()
        own.setLevel(logging.DEBUG)
        own.addHandler(handler)
        own.removeHandler(handler)

    try:
        (outcome,) = thread.run(configure)
        assert outcome.error_title is None
    finally:
        logging.root.setLevel(before)


def test_random_numbers_are_random_again_after_a_seed(thread: Thread) -> None:
    import random

    drawn: list[float] = []
    outcomes = thread.run(*[doing(lambda: random.seed(1)), doing(lambda: drawn.append(random.random()))] * 2)
    assert {outcome.word for outcome in outcomes} == {"succeeded"}
    assert drawn[0] != drawn[1]


def test_context_of_a_handler_is_dropped_with_it(thread: Thread) -> None:
    def read() -> tuple[Any, ...]:
        zone = timezone.get_current_timezone_name()
        return variable.get(), decimal.getcontext().prec, translation.get_language(), zone

    def change(fire: Fire) -> None:
        variable.set("touched")
        decimal.getcontext().prec = 3
        translation.activate("de")
        timezone.activate("Asia/Tokyo")

    seen: list[Any] = []
    outcomes = thread.run(doing(lambda: seen.append(read())), change, doing(lambda: seen.append(read())))
    assert {outcome.word for outcome in outcomes} == {"succeeded"}
    assert seen[0] == seen[1]


@pytest.mark.parametrize("ending", [Discard("later"), Snooze(5)])
def test_directive_of_a_guilty_handler_is_not_obeyed(thread: Thread, ending: Exception) -> None:
    def leave(fire: Fire) -> None:
        os.chdir("/")
        raise ending

    (outcome,) = thread.run(leave)
    assert (outcome.word, outcome.wait) == ("error", None)
    assert outcome.error_title == "the handler left behind: the current directory"


def test_error_of_a_guilty_handler_stays_and_names_what_was_left(thread: Thread) -> None:
    def leave(fire: Fire) -> None:
        os.chdir("/")
        raise ValueError("down")

    (outcome,) = thread.run(leave)
    assert outcome.error_title == "ValueError: down"
    assert outcome.reason == "the handler left behind: the current directory"
