"""Session: the database session of an actor. It yields before each statement and COMMIT, and faults reach it here.

Real errors come from the server. A connection that is lost is rolled back and kept: what is left of it is a session
that has no transaction, no advisory locks and another generation.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import psycopg
from django.db import OperationalError, connection
from psycopg.pq import TransactionStatus

from tests.torture.sim.faults import ENDS_CONNECTION, Fault
from tests.torture.sim.scheduler import Actor, Killed, Stopped
from timers.schedules.instant import from_microseconds

LOCK_TIMEOUT: Final = "3ms"
"""Nobody else runs while a statement waits for a lock, so it waits in vain."""
IDLE_IN_TRANSACTION_US: Final = 5_000_000
"""After so long the server ends the session of a frozen process that has a transaction open (see worker/session.py)."""
_SILENT: Final = ("SAVEPOINT", "RELEASE", "ROLLBACK")
_WORDS: Final = re.compile(r"^\s*(\w+).*?(timers_\w+)", re.DOTALL)


class Session:
    """The session of the thread's Django connection, while an actor has it."""

    def __init__(self, actor: Actor, on_commit: Callable[[Actor], None]) -> None:
        self.generation = 0
        """Rises with each connection that is lost."""
        self._actor = actor
        self._on_commit = on_commit
        self._is_lost = False
        self._shown_us = 0
        self._is_frozen = False
        self._freezes = 0

    def open(self) -> None:
        """Take the thread's connection. To be called in the actor's thread."""
        connection.ensure_connection()
        self._raw: psycopg.Connection[Any] = connection.connection
        self._raw.execute(f"SET lock_timeout = '{LOCK_TIMEOUT}'")
        self._plain_commit = self._raw.commit
        connection.execute_wrappers[:] = [self._execute]
        connection._commit = self._commit  # type: ignore[method-assign]
        connection._rollback = self._rollback  # type: ignore[method-assign]

    def close(self) -> None:
        """Give the connection back, without a transaction and without locks."""
        self.lose()
        self._is_lost = False
        connection.execute_wrappers.clear()
        self._raw.execute("SET timers.virtual_now = ''")

    def lose(self) -> None:
        """End the session as the server does when the connection breaks. Any thread may call it."""
        self.generation += 1
        self._shown_us = 0
        # Of what Django takes for a transaction the rest fails.
        self._is_lost = self._is_lost or not self._raw.autocommit
        self._raw.rollback()
        if self._raw.autocommit:
            self._raw.execute("SELECT pg_advisory_unlock_all()")
        else:
            with suppress(psycopg.Error):
                self._raw.execute("SELECT pg_advisory_unlock_all()")
                self._plain_commit()

    def end_if_frozen(self) -> Callable[[], None]:
        """Return what the server does to the session of a process that stands still, once its patience is over."""
        self._freezes += 1
        freeze = self._freezes

        def end() -> None:
            is_idle = self._raw.info.transaction_status == TransactionStatus.IDLE
            if self._is_frozen and self._freezes == freeze and not is_idle:
                self.lose()

        self._is_frozen = True
        return end

    def thawed(self) -> None:
        """The process goes on."""
        self._is_frozen = False

    def _execute(self, execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: Any) -> Any:
        text = str(sql)
        if text.startswith(_SILENT):
            self._refuse_if_lost()
            return execute(sql, params, many, context)
        fault = self._actor.point(_label(text))
        self._refuse_if_lost()
        if fault is not None and fault.kind == "error":
            self._break(fault, lambda sql: execute(sql, None, False, context))
        self._show_time()
        result = execute(sql, params, many, context)
        if not connection.in_atomic_block and not text.lstrip().startswith("SELECT"):
            self._on_commit(self._actor)
        if fault is not None:
            self.lose()
            raise _lost("the reply was lost")
        return result

    def _commit(self) -> None:
        try:
            fault = self._actor.point("COMMIT")
            if self._actor.is_ending:
                raise Killed
        except (Killed, Stopped):
            # Django rolls back for errors of the database alone.
            self._rollback()
            raise
        if self._is_lost:
            raise _lost("the connection is closed")
        if fault is not None and fault.kind == "error":
            self.lose()
            raise _lost("before COMMIT", fault.state)
        self._plain_commit()
        self._on_commit(self._actor)
        if fault is not None:
            self.lose()
            raise _lost("the reply to COMMIT was lost")

    def _rollback(self) -> None:
        self._shown_us, self._is_lost = 0, False
        self._raw.rollback()

    def _refuse_if_lost(self) -> None:
        if self._actor.is_ending:
            raise Killed
        if self._is_lost:
            if connection.in_atomic_block:
                raise _lost("the connection is closed")
            self._is_lost = False

    def _break(self, fault: Fault, execute: Callable[[str], Any]) -> None:
        if fault.state in ENDS_CONNECTION:
            self.lose()
            raise _lost("the connection broke", fault.state)
        execute(f"DO $$ BEGIN RAISE EXCEPTION 'injected' USING ERRCODE = '{fault.state}'; END $$")

    def _show_time(self) -> None:
        now_us = self._actor.now_us
        if now_us != self._shown_us and self._raw.info.transaction_status != TransactionStatus.INERROR:
            self._raw.execute(f"SET timers.virtual_now = '{from_microseconds(now_us).isoformat()}'")
            self._shown_us = now_us


def _lost(words: str, state: str = "08006") -> OperationalError:
    error = OperationalError(f"{words} ({state})")
    error.__cause__ = psycopg.errors.lookup(state)(words)
    return error


def _label(sql: str) -> str:
    """A statement in a few words: what it does, and the first table or function of ours that it names."""
    found = _WORDS.match(sql.replace('"', ""))
    return " ".join(found.groups()) if found else sql.strip().partition("\n")[0][:60]
