"""The doctor: finds what is stuck, misconfigured or at risk, each with its evidence and remedy.

It checks this invariant. Every occurrence whose instant has come is in exactly one of these states: not yet fired, by
an active timer that some live node serves and that is not overdue by more than the grace; in exactly one of claim and
waiting; or finished with exactly one final row. No claim of a dead node, and no due ready row without a server, is
older than its limit.

    finding    result of a check
    examine    runs the checks, each separately and with a time limit
    overdue    due timers and waiting executions that nobody claims
    places     occurrences in two places, or in none
    vanished   fires that left no trace
    nodes      nodes, leases, clocks, versions, handlers
    clock      steps of the database clock
    database   the server's settings and sessions
    server     identity of the server, poolers, session settings
    ledger     the ledger's partitions
    secrets    secrets that cannot be decrypted
    keys       application keys that expire soon
    consumers  messages that no consumer claims
    failures   failed executions that wait for a person
"""

from timers.insights.doctor.examine import CHECKS, examine
from timers.insights.doctor.finding import Finding, Report

__all__ = ["CHECKS", "Finding", "Report", "examine"]
