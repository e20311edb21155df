"""The doctor: everything that is stuck, misconfigured or at risk, each with its evidence and what to do.

The invariant that it watches: every occurrence whose time has come is either not yet fired by an active timer that some
living node serves (and not overdue by more than the grace), or in exactly one of claim and waiting, or has exactly one
final row; no claim of a dead node and no due ready row without a server is older than its bound.

    finding    what a check returns
    examine    runs the checks, each by itself and for a bounded time
    overdue    timers and waiting executions whose time has come and that nobody takes
    places     occurrences in two places, or in none
    vanished   fires that left no trace
    nodes      nodes, leases, clocks, versions, handlers
    clock      steps of the database clock
    database   the server's settings and sessions
    server     which server it is, poolers, session settings
    ledger     the ledger's partitions
    secrets    secrets that do not open
    keys       application keys that end soon
    consumers  messages that no consumer claims
    failures   failed executions that wait for a person
"""

from timers.insights.doctor.examine import CHECKS, examine
from timers.insights.doctor.finding import Finding, Report

__all__ = ["CHECKS", "Finding", "Report", "examine"]
