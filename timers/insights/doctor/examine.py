"""Run the doctor's checks, each separately and with a time limit that the database can bear."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Final

from django.db import OperationalError

from timers.database import connection, transaction
from timers.insights.doctor import (
    clock,
    consumers,
    database,
    declared,
    failures,
    keys,
    ledger,
    limits,
    nodes,
    orders,
    overdue,
    places,
    secrets,
    server,
    subscriptions,
    vanished,
)
from timers.insights.doctor.finding import Finding, Report

Check = Callable[[datetime], list[Finding]]

CHECKS: Final[tuple[Check, ...]] = (
    nodes.cluster_concerns,
    nodes.narrow_leases,
    nodes.late_suspicion,
    nodes.unknown_handlers,
    nodes.differing_zone_rules,
    nodes.drift,
    overdue.unserved_groups,
    overdue.overdue_timers,
    overdue.overdue_ready,
    overdue.claims_of_the_dead,
    orders.blocked_behind_nobody,
    places.in_two_places,
    places.open_in_no_place,
    places.queued_behind_nothing,
    places.finished_but_held,
    vanished.fired_without_a_trace,
    ledger.missing_partitions,
    ledger.strays,
    subscriptions.waiting_for_consumers,
    subscriptions.full_while_paused,
    consumers.unclaimed_messages,
    subscriptions.unreadable_subscriptions,
    clock.clock_steps,
    server.server_identity,
    server.pooled_sessions,
    server.foreign_settings,
    database.unsafe_settings,
    database.unclean_tables,
    database.old_transactions,
    database.waiting_commits,
    secrets.unopenable_secrets,
    keys.ending_keys,
    declared.ownerless_declared_timers,
    limits.timers_without_key,
    failures.waiting_for_a_person,
    orders.long_before_stopped_steps,
    orders.long_suspended,
)
TIME_LIMIT_MS: Final = 5_000
"""Milliseconds that one check may take. Indexes serve its queries; if they do not, the check is cancelled and says
so."""

_ORDER: Final = {"error": 0, "warning": 1, "info": 2}


def examine(now: datetime) -> Report:
    """Run all checks at `now` (database clock) and return the findings, the most severe first."""
    found = [replace(finding, check=_name(check)) for check in CHECKS for finding in _made(check, now)]
    found.sort(key=lambda finding: _ORDER[finding.severity])
    return Report(tuple(found), len(CHECKS))


def _made(check: Check, now: datetime) -> list[Finding]:
    try:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute(f"SET LOCAL statement_timeout = {TIME_LIMIT_MS}")
            return check(now)
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", None) != "57014":  # query_canceled
            raise
        return [
            Finding(
                "warning",
                f"The check {_name(check).replace('_', ' ')} was given up after {TIME_LIMIT_MS / 1000:g} s.",
                "The database is overloaded, or its statistics are missing: look at it, run ANALYZE, and try again.",
            )
        ]


def _name(check: Check) -> str:
    return getattr(check, "__name__", "check")
