"""A database whose clock a test can step, for all sessions at once: timers_now() plus an offset in a table."""

from __future__ import annotations

import psycopg

_INSTALL = """
CREATE TABLE IF NOT EXISTS test_clock_offset (seconds double precision NOT NULL);
INSERT INTO test_clock_offset VALUES (0);
CREATE OR REPLACE FUNCTION timers_now() RETURNS timestamptz LANGUAGE sql VOLATILE PARALLEL SAFE AS $$
    SELECT COALESCE(NULLIF(current_setting('timers.virtual_now', true), '')::timestamptz,
                    clock_timestamp() + (SELECT seconds FROM test_clock_offset) * INTERVAL '1 second')
$$;
"""


class MovableClock:
    """The clock of the database at an address; the database is the test's own."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._execute(_INSTALL)

    def step(self, seconds: float) -> None:
        """Move the clock by so many seconds, forward or (below 0) back."""
        self._execute(f"UPDATE test_clock_offset SET seconds = seconds + {seconds}")

    def _execute(self, statement: str) -> None:
        with psycopg.connect(self._address, autocommit=True) as connection:
            connection.execute(statement)
