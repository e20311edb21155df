"""Commits whose outcome is unknown raise CommitOutcomeUnknown, so that no caller counts them as done.

There are three causes. The connection is lost before the response to COMMIT. A synchronous standby is gone and someone
cancels the wait for it: the server then reports success, with a warning. Or the wait takes longer than the session's
limit, and is cancelled here.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final

import psycopg
from psycopg.abc import RV, PQGen

CANCEL_SECONDS: Final = 1.0
"""Seconds that the server has to accept the cancellation of a COMMIT, and again to respond to it."""

WORDS: Final = "The outcome of the commit is unknown. Repeat with the same Idempotency-Key."

_REPORTS: Final = "SyncRepWaitForLSN"
"""The server function that reports a cancelled wait; its message is in the server's language."""


class CommitOutcomeUnknown(psycopg.OperationalError):
    """The commit may be lost, or may not have happened at all."""


def watch_commits(connection: psycopg.Connection[Any], seconds: float | None = None) -> None:
    """Make commits on this connection raise CommitOutcomeUnknown if their outcome is unknown.

    Args:
        connection: the connection.
        seconds: time limit of a COMMIT, after which it is cancelled; autocommitted statements are watched too. None: no
            limit, and only COMMIT is watched, which costs other statements nothing.
    """
    watch = _Watch(connection, seconds)
    connection.add_notice_handler(watch.hear)
    connection.commit = watch.commit  # type: ignore[method-assign]
    if seconds is not None:
        connection.wait = watch.wait  # type: ignore[method-assign]


class _Watch:
    def __init__(self, connection: psycopg.Connection[Any], seconds: float | None) -> None:
        self._connection = connection
        self._seconds = seconds
        self._plain_wait = connection.wait
        self._plain_commit = connection.commit
        self._is_committing = False
        self._unconfirmed = ""

    def hear(self, notice: psycopg.errors.Diagnostic) -> None:
        if notice.source_function == _REPORTS:
            self._unconfirmed = notice.message_primary or "not replicated"

    def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        if self._is_committing and self._seconds is not None:
            result = self._wait_bounded(gen, interval, self._seconds)
        else:
            result = self._plain_wait(gen, interval, timeout)
        self._raise_if_unconfirmed()
        return result

    def commit(self) -> None:
        self._is_committing = True
        # Left by an earlier statement that was not watched.
        self._unconfirmed = ""
        try:
            self._plain_commit()
            self._raise_if_unconfirmed()
        except CommitOutcomeUnknown:
            raise
        except psycopg.OperationalError as error:
            if self._connection.closed:
                raise CommitOutcomeUnknown(f"the connection was lost during COMMIT: {error}") from error
            raise
        finally:
            self._is_committing = False

    def _raise_if_unconfirmed(self) -> None:
        if self._unconfirmed:
            words, self._unconfirmed = self._unconfirmed, ""
            raise CommitOutcomeUnknown(f"committed here, but perhaps on no standby: {words}")

    def _wait_bounded(self, gen: PQGen[RV], interval: float, seconds: float) -> RV:
        try:
            return self._plain_wait(gen, interval, seconds)
        except psycopg.OperationalError as error:
            if error.sqlstate is not None or self._connection.closed:
                raise
        # Cancelling ends only the wait for a standby: the local part of the COMMIT completes or fails as before.
        with suppress(psycopg.Error):
            self._connection.cancel_safe(timeout=CANCEL_SECONDS)
        try:
            return self._plain_wait(gen, interval, CANCEL_SECONDS)
        except psycopg.OperationalError as error:
            if error.sqlstate is not None:
                # A response: the server reports that it has not committed.
                raise
            self._connection.close()
            raise CommitOutcomeUnknown(f"COMMIT was not answered within {seconds:g} s") from error
