"""The Django admin: raw records for operators and support.

Every write goes through `timers.control` (or `timers.scheduling`, which uses it), so a form here refuses what the API
refuses. Lists remain fast on big tables: counts are bounded, the ledger is paged by key, filters exist only where an
index or a bounded window serves them. History cannot be edited.
"""

from timers.admin import (
    audit,
    calendars,
    chain_locks,
    chains,
    claims,
    cluster_events,
    cluster_pause,
    groups,
    keys,
    ledger,
    nodes,
    operations,
    orders,
    secrets,
    stats,
    subscriptions,
    timers,
    waiting,
)

__all__ = [
    "audit",
    "calendars",
    "chain_locks",
    "chains",
    "claims",
    "cluster_events",
    "cluster_pause",
    "groups",
    "keys",
    "ledger",
    "nodes",
    "operations",
    "orders",
    "secrets",
    "stats",
    "subscriptions",
    "timers",
    "waiting",
]
