"""The crash lock: a session advisory lock that a live node holds on its heartbeat connection.

PostgreSQL releases it with the connection of a killed process, so a free lock shows a crash before the lease expires.
"""

from __future__ import annotations

from typing import Final

CRASH_LOCK_CLASS: Final = 0x54494D45
"""First key of the crash locks ("TIME"); the second is the node row's id."""

LOCK_IS_FREE: Final = """
n.crash_lock AND NOT EXISTS (
    SELECT 1 FROM pg_locks l
    WHERE l.locktype = 'advisory' AND l.classid = %(lock_class)s AND l.objid = n.id AND l.objsubid = 2
      AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()))
"""
"""SQL condition over a node `n`; the statement needs the parameter lock_class."""
