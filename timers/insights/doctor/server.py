"""Checks of the database server as sessions see it: its identity, poolers, and settings that are not pinned."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from timers.database import connection
from timers.insights.doctor.finding import Finding, rows
from timers.server import memory
from timers.server.identity import Answered, why_refused
from timers.server.prepare import session_of
from timers.server.settings import ISOLATION, PINNED, TRACKED

WANTED: Final[Mapping[str, tuple[str, str]]] = {
    "default_transaction_read_only": ("off", "nothing can be saved"),
    "session_replication_role": ("origin", "constraints between tables are not checked"),
    "row_security": ("on", "statements fail where a table has row security"),
    "idle_session_timeout": ("0", "sessions that wait for work are ended"),
    "transaction_timeout": ("0", "long operations are ended midway"),
    "plan_cache_mode": ("auto", "statements are planned badly"),
}
"""Settings that the service does not set -> the value it requires, and what goes wrong otherwise."""
SHORTEST_TIMEOUT: Final = 10_000
"""Milliseconds. Migrations, commands and handlers have the limits of the role."""

_SETTINGS: Final = """
SELECT name, reset_val AS value, setting, boot_val, unit FROM pg_settings
WHERE name = ANY(%s) OR name LIKE 'enable\\_%%' OR name IN ('statement_timeout', 'lock_timeout')
"""


def server_identity(now: datetime) -> list[Finding]:
    """Report a server that nodes and web processes refuse, and one that does not identify itself."""
    server = session_of(connection).server
    if server is None:
        return []
    why = why_refused(server, memory.recall(memory.address_of(connection.settings_dict)))
    if why:
        return [
            Finding(
                "error",
                f"The database server is refused: {why}.",
                "Point DATABASE_URL at the present primary; or accept this one: manage.py acceptdatabase.",
            )
        ]
    return unreadable(server)


def unreadable(server: Answered) -> list[Finding]:
    """Report parts of its identity that the server does not allow to be read."""
    missing = [
        name
        for name, value in (("system identifier", server.system_identifier), ("timeline", server.timeline))
        if value is None
    ]
    if not missing:
        return []
    return [
        Finding(
            "info",
            f"The database server does not show its {' and its '.join(missing)}: a former primary that comes back after"
            " a failover is not recognised by it.",
            "GRANT EXECUTE ON FUNCTION pg_control_system() to the role, where the server allows it; else see to it that"
            " DATABASE_URL leads to the primary alone.",
        )
    ]


def pooled_sessions(now: datetime) -> list[Finding]:
    """Report a pooler in transaction mode: what is not used then, and what the role must have set instead."""
    if not session_of(connection).is_pooled:
        return []
    # Of the settings that a pooler restores for each client, only this client's own value counts.
    given = {
        row["name"]: row["setting" if row["name"] in TRACKED else "value"] for row in rows(_SETTINGS, (list(PINNED),))
    }
    findings = [
        Finding(
            "info",
            "Connections lead through a pooler: no session settings, LISTEN or session locks are used. Timers are found"
            " by polling alone, and a crash by the lease alone.",
            "Let nodes connect to PostgreSQL itself; or set TIMERS_POOL_MODE=session, if that is the pooler's mode.",
        )
    ]
    for name, value in PINNED.items():
        if _plain(given.get(name, value)) != _plain(value) and not _plain(given[name]).startswith(_plain(value)):
            remedy = f"ALTER ROLE {connection.settings_dict['USER'] or '...'} SET {name} = '{value}'."
            findings.append(
                Finding("error", f"{name} is {given[name]!r}, and cannot be set per session behind a pooler.", remedy)
            )
    return findings


def foreign_settings(now: datetime) -> list[Finding]:
    """Report settings of the role, the database or the server that the service requires and does not set."""
    found = {row["name"]: row for row in rows(_SETTINGS, (list(WANTED),))}
    findings = [
        Finding(
            "error" if name == "default_transaction_read_only" else "warning",
            f"{name} is {found[name]['value']} for this role: {loses}.",
            _reset(name),
        )
        for name, (wanted, loses) in WANTED.items()
        if name in found and found[name]["value"] != wanted
    ]
    for name in ("statement_timeout", "lock_timeout"):
        if 0 < int(found[name]["value"]) < SHORTEST_TIMEOUT:
            what = f"{name} is {found[name]['value']} ms for this role: migrations, commands and handlers are cut off."
            findings.append(Finding("warning", what, _reset(name)))
    changed = [row for name, row in found.items() if name.startswith("enable_") and row["value"] != row["boot_val"]]
    if changed:
        names = ", ".join(f"{row['name']} = {row['value']}" for row in changed)
        what = f"Planner switches are changed for this role, which makes the search for due timers slow: {names}."
        findings.append(Finding("warning", what, _reset("enable_...")))
    return findings + _isolation()


def _isolation() -> list[Finding]:
    level: Any = connection.settings_dict["OPTIONS"].get("isolation_level")
    if level is None or getattr(level, "name", level) == "READ_COMMITTED":
        return []
    return [
        Finding(
            "error",
            f"OPTIONS of the database sets isolation_level; the service is made for {PINNED[ISOLATION]}.",
            "Remove isolation_level from DATABASES, or give the service a database alias of its own.",
        )
    ]


def _reset(name: str) -> str:
    return f"ALTER ROLE ... RESET {name}, ALTER DATABASE ... RESET {name}, or ALTER SYSTEM RESET {name}."


def _plain(value: str) -> str:
    return value.lower().replace(" ", "")
