"""The Django admin: raw records for people who operate and support the service.

Every write goes through `timers.control` (or `timers.scheduling`, which is made of it), so a form here
refuses what the API refuses. Lists stay fast on big tables: counts are bounded, the ledger is paged by its key, filters
stand only on what an index or a bounded window serves. History cannot be edited by anyone.
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
