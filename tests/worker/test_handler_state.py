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
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.signals import setting_changed
from django.db import connection, connections, transaction
from django.test import override_settings
from django.utils import timezone, translation

from tests.support.eventually import eventually
from tests.support.executions import execution, started
from tests.support.handlers import TemporaryHandlers
from timers import handlers as registry
from timers.clock import DatabaseClock
from timers.handlers import Discard, Fire, Snooze
from timers.lifecycle.outcome import Outcome
from timers.models import TimerGroup
from timers.scheduling import ensure_group
from timers.testing import START
from timers.worker import process_state, state_kinds
from timers.worker.pace import Pace
from timers.worker.thread_pool import ThreadPool

variable: ContextVar[str] = ContextVar("tests_variable", default="untouched")


class Thread:
    """A pool of one thread, and what it reported."""

    def __init__(self, handlers: TemporaryHandlers) -> None:
        self.outcomes: list[Outcome] = []
        self._handlers = handlers
        self.pool = ThreadPool("node-a", 1, DatabaseClock(START), started(), Pace(), self.outcomes.extend)
        self.pool.start()

    def run(self, *functions: Callable[[Fire], Any]) -> list[Outcome]:
        """Run these one after the other; returns their outcomes."""
        before = len(self.outcomes)
        # pytest has changed an environment variable since.
        process_state.note_process()
        for number, function in enumerate(functions):
            name = f"tests.state.{before + number}"
            self._handlers.add(name, function)
            found = registry.find(name)
            assert found is not None
            self.pool.submit([(execution(name), found)])
        eventually(lambda: len(self.outcomes) == before + len(functions))
        return self.outcomes[before:]


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The process as a worker prepares it; afterwards it is as before."""
    for kind in state_kinds.KINDS:
        for module, name in kind.changers:
            monkeypatch.setattr(module, name, getattr(module, name))
    monkeypatch.setattr(process_state, "_before", {})
    monkeypatch.setattr(process_state, "_attributes", [])
    monkeypatch.setattr(process_state, "_path", [])
    monkeypatch.setattr(process_state, "_not_restored", [])
    process_state.wrap_changers()
    process_state.note_process()
    yield
    process_state._touched.clear()


@pytest.fixture
def thread(handlers: TemporaryHandlers, watched: None) -> Iterator[Thread]:
    made = Thread(handlers)
    yield made
    made.run(lambda fire: connections.close_all())
    made.pool.stop()


def doing(function: Callable[[], Any]) -> Callable[[Fire], None]:
    """A handler that calls the function and keeps nothing of what it returns."""

    def handler(fire: Fire) -> None:
        function()

    return handler


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
    "the stack size of new threads": (lambda: threading.stack_size(1 << 20), threading.stack_size),
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


def execute(*statements: str) -> Callable[[], None]:
    def send() -> None:
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    return send


def past_django(statement: str) -> Callable[[], None]:
    def send() -> None:
        connection.ensure_connection()
        connection.connection.execute(statement)

    return send


def read_only() -> None:
    connection.ensure_connection()
    connection.connection.read_only = True


LEFT_ON_CONNECTIONS: dict[str, Callable[[], Any]] = {
    "autocommit off": lambda: transaction.set_autocommit(False),
    "an open transaction (atomic block)": lambda: transaction.atomic().__enter__(),
    "an open transaction": execute("BEGIN"),
    "execute wrappers": lambda: connection.execute_wrappers.append(lambda execute, *args: execute(*args)),
    "a debug cursor": lambda: setattr(connection, "force_debug_cursor", True),
    "changed attributes": read_only,
    "setting statement_timeout (1234)": execute("SET statement_timeout = 1234"),
    "setting lock_timeout (1234)": execute("SELECT 1; /* why */ SET lock_timeout = 1234"),
    "setting application_name (odd)": execute("SELECT set_config('application_name', 'odd', false)"),
    "setting work_mem (1234)": past_django("SET work_mem = 1234"),
    "setting default_transaction_read_only (on)": execute("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY"),
    "setting search_path": execute("set search_path to pg_catalog"),
    "advisory lock 0.42.1": execute("SELECT pg_advisory_lock(42)"),
    "LISTEN (tests_left)": execute("LISTEN tests_left"),
    "temporary table tests_left": execute("CREATE TEMP TABLE tests_left (n int)"),
    "temporary table tests_into": execute("SELECT 1 AS n INTO TEMPORARY tests_into"),
    "prepared statement tests_left": execute("PREPARE tests_left AS SELECT 1"),
    "cursor tests_left": execute("BEGIN", "DECLARE tests_left CURSOR WITH HOLD FOR SELECT 1", "COMMIT"),
}


@pytest.mark.parametrize("name", LEFT_ON_CONNECTIONS)
def test_what_is_left_on_a_connection_fails_the_handler_and_no_other(
    committed: None, thread: Thread, name: str
) -> None:
    def write(number: int) -> Callable[[Fire], None]:
        return doing(lambda: ensure_group(f"written-{number}"))

    outcomes = thread.run(write(1), doing(LEFT_ON_CONNECTIONS[name]), write(2), write(3))
    assert [outcome.word for outcome in outcomes] == ["succeeded", "error", "succeeded", "succeeded"]
    assert name in str(outcomes[1].error_title)
    assert "on connection default" in str(outcomes[1].error_title)
    assert TimerGroup.objects.filter(name__startswith="written-").count() == 3


def test_transaction_that_is_left_open_takes_its_writes_back(committed: None, thread: Thread) -> None:
    def leave(fire: Fire) -> None:
        transaction.set_autocommit(False)
        ensure_group("lost")

    outcomes = thread.run(leave, doing(lambda: ensure_group("kept")))
    assert [outcome.word for outcome in outcomes] == ["error", "succeeded"]
    assert set(TimerGroup.objects.values_list("name", flat=True)) >= {"kept"}
    assert not TimerGroup.objects.filter(name="lost").exists()


def within_a_transaction(*statements: str) -> Callable[[], None]:
    def send() -> None:
        with transaction.atomic():
            execute(*statements)()

    return send


def locked_and_unlocked() -> None:
    execute("SELECT pg_advisory_lock(43)", "SELECT pg_advisory_unlock(43)")()


@pytest.mark.parametrize(
    "does",
    [
        within_a_transaction("SELECT 1"),
        within_a_transaction("SET LOCAL statement_timeout = 1234", "SELECT pg_advisory_xact_lock(44)"),
        within_a_transaction("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", "SELECT 1"),
        within_a_transaction("CREATE TEMP TABLE tests_gone (n int) ON COMMIT DROP"),
        locked_and_unlocked,
        lambda: connection.close(),  # noqa: PLW0108 - the connection of the thread that calls it
        execute("SET statement_timeout = 1234", "RESET statement_timeout"),
    ],
)
def test_connection_that_is_left_as_it_was_is_kept(committed: None, thread: Thread, does: Callable[[], Any]) -> None:
    sessions: list[int] = []

    def note(fire: Fire) -> None:
        connection.ensure_connection()
        sessions.append(connection.connection.info.backend_pid)

    outcomes = thread.run(note, doing(does), note)
    assert [outcome.error_title for outcome in outcomes] == [None, None, None]
    assert len(sessions) == 2


def test_what_was_set_when_the_connection_was_opened_is_not_the_handlers(committed: None, thread: Thread) -> None:
    from django.db.backends.signals import connection_created

    def configure(connection: Any, **_: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET statement_timeout = '7s'")

    connection_created.connect(configure)
    # As apps do: before the worker's own receiver.
    connection_created.receivers.insert(0, connection_created.receivers.pop())
    try:
        outcomes = thread.run(doing(execute("SELECT 1")), doing(execute("SET lock_timeout = 5", "RESET lock_timeout")))
    finally:
        connection_created.disconnect(configure)
    assert [outcome.error_title for outcome in outcomes] == [None, None]
