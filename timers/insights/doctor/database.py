"""Checks of the server: settings that risk committed data, tables without vacuum, transactions that hold garbage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Final

from timers.insights.counts import CAP
from timers.insights.doctor.finding import EVIDENCE, Finding, amount, rows, shown
from timers.insights.words import span
from timers.server.commit_waits import commit_waits

OLDEST_SERVER: Final = 14
OLD_AFTER: Final = 300
"""Seconds after which an open transaction is reported: no row that died since can be removed."""

_ASKED: Final = ("server_version_num", "server_version", "fsync", "synchronous_commit", "full_page_writes",
                 "autovacuum", "track_counts")  # fmt: skip


def unsafe_settings(now: datetime) -> list[Finding]:
    """Report server settings that can lose committed transactions in a crash, or that disable maintenance."""
    found = rows(
        "SELECT name, current_setting(name) AS value FROM unnest(%s::text[]) AS s(name)"
        " UNION ALL SELECT 'virtual_now', COALESCE(current_setting('timers.virtual_now', true), '')",
        (list(_ASKED),),
    )
    return judged({row["name"]: row["value"] for row in found})


def judged(settings: Mapping[str, str]) -> list[Finding]:
    """Return the findings for these server settings."""
    findings = []
    if int(settings["server_version_num"]) < OLDEST_SERVER * 10_000:
        findings.append(
            Finding(
                "error",
                f"PostgreSQL is {settings['server_version']}; the service needs {OLDEST_SERVER} or newer.",
                "Upgrade the server.",
            )
        )
    for name, loses in (
        ("fsync", "a crash of the machine can destroy the database"),
        ("full_page_writes", "a crash of the machine can destroy pages"),
        ("synchronous_commit", "a crash forgets what was just committed, and timers are fired again"),
    ):
        if settings[name] == "off":
            remedy = f"ALTER SYSTEM SET {name} = on; then SELECT pg_reload_conf()."
            severity = "warning" if name == "synchronous_commit" else "error"
            findings.append(Finding(severity, f"{name} is off: {loses}.", remedy))  # type: ignore[arg-type]
    findings += [
        Finding(
            "error",
            f"{name} is off: dead rows pile up, and the search for due timers grows slow.",
            f"ALTER SYSTEM SET {name} = on; then SELECT pg_reload_conf().",
        )
        for name in ("autovacuum", "track_counts")
        if settings[name] == "off"
    ]
    if settings["virtual_now"]:
        findings.append(
            Finding(
                "error",
                f"The clock of the service is set to {settings['virtual_now']} in this session's defaults.",
                "It is for tests: ALTER DATABASE ... RESET timers.virtual_now (or ALTER ROLE ... RESET).",
            )
        )
    return findings


def waiting_commits(now: datetime) -> list[Finding]:
    """Report commits that wait for a synchronous standby that does not respond."""
    found = commit_waits(CAP + 1)
    if not found:
        return []
    return [
        Finding(
            "error",
            f"{amount(found, CAP, 'commit waits', 'commits wait')} for a synchronous standby, the longest for"
            f" {span(found[0].seconds)}: nodes run nothing, and requests that write are answered with 503.",
            "Bring the standby back. Or go on without one, where a failover may then lose what is committed: ALTER"
            " SYSTEM SET synchronous_standby_names = ''; then SELECT pg_reload_conf().",
            tuple(asdict(each) for each in found[:EVIDENCE]),
        )
    ]


_UNCLEAN: Final = """
SELECT c.relname AS table, c.reloptions AS options
FROM pg_class c
WHERE c.relkind = 'r' AND c.relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = 'timers_timer'::regclass)
  AND c.relname LIKE 'timers\\_%%' AND 'autovacuum_enabled=false' = ANY(c.reloptions)
ORDER BY c.relname
"""


def unclean_tables(now: datetime) -> list[Finding]:
    """Report tables of the service whose autovacuum is disabled."""
    found = rows(_UNCLEAN, {})
    if not found:
        return []
    return [
        Finding(
            "error",
            f"Autovacuum is turned off for {amount(found, CAP, 'table')}: {', '.join(row['table'] for row in found)}.",
            "ALTER TABLE ... RESET (autovacuum_enabled).",
            shown(found),
        )
    ]


# What holds back the vacuum horizon: open transactions and snapshots, prepared transactions, replication slots.
_OLD: Final = """
SELECT 'session ' || pid AS what, usename AS "user", application_name AS application, state,
       extract(epoch FROM clock_timestamp() - xact_start)::float8 AS seconds
FROM pg_stat_activity
WHERE xact_start < clock_timestamp() - %(old)s * INTERVAL '1 second' AND pid <> pg_backend_pid()
  AND backend_type = 'client backend' AND datname = current_database()
UNION ALL
SELECT 'prepared transaction ' || gid, owner, '', 'prepared',
       extract(epoch FROM clock_timestamp() - prepared)::float8
FROM pg_prepared_xacts
WHERE database = current_database() AND prepared < clock_timestamp() - %(old)s * INTERVAL '1 second'
ORDER BY seconds DESC LIMIT 1001
"""


def old_transactions(now: datetime) -> list[Finding]:
    """Report transactions open for more than five minutes: tables bloat meanwhile."""
    found = rows(_OLD, {"old": OLD_AFTER})
    if not found:
        return []
    return [
        Finding(
            "warning",
            f"{amount(found, CAP, 'transaction')} open for more than {span(OLD_AFTER)}, the oldest for"
            f" {span(found[0]['seconds'])}: dead rows cannot be cleaned up meanwhile.",
            "End the session (SELECT pg_terminate_backend(pid)) or ROLLBACK PREPARED; set"
            " idle_in_transaction_session_timeout for those who forget.",
            shown(found),
        )
    ]
