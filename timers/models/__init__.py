"""The tables of the service: models, constraints, indexes and queries. Only engine/ changes states.

Four tables, four tenses; an occurrence is always in exactly one place:

    Timer    future   what will happen, and the next instant
    Claim    present  what a worker has claimed right now
    Waiting  again    what must be claimed (again), and failed executions that wait for a person
    Attempt  past     the ledger: a row per attempt and one final row per execution, never updated

An order of a chain has an additional row (ChainOrder) with its position in its chain; while it rests, it has no other.
"""

from timers.models.application_key import ApplicationKey
from timers.models.attempt import Attempt
from timers.models.audit_entry import AuditEntry
from timers.models.chain import Chain, ChainStep, ChainVersion
from timers.models.chain_lock import ChainLock, OrderHold
from timers.models.chain_order import ChainOrder
from timers.models.claim import Claim
from timers.models.clock_step import ClockStep
from timers.models.cluster_event import ClusterEvent
from timers.models.cluster_pause import ClusterPause
from timers.models.database_server import DatabaseServer
from timers.models.exclusion_calendar import ExclusionCalendar
from timers.models.group import TimerGroup
from timers.models.kept_answer import KeptAnswer
from timers.models.node import Leadership, Node
from timers.models.operation import BulkOperation
from timers.models.rate_state import RateState
from timers.models.recall import Recall
from timers.models.secret import Secret
from timers.models.stats_minute import LATENESS_BUCKETS_MS, StatsMinute
from timers.models.subscription import Subscription
from timers.models.timer import Timer
from timers.models.waiting import Waiting
from timers.models.zone_rules import ZoneRules

__all__ = [
    "LATENESS_BUCKETS_MS",
    "ApplicationKey",
    "Attempt",
    "AuditEntry",
    "BulkOperation",
    "Chain",
    "ChainLock",
    "ChainOrder",
    "ChainStep",
    "ChainVersion",
    "Claim",
    "ClockStep",
    "ClusterEvent",
    "ClusterPause",
    "DatabaseServer",
    "ExclusionCalendar",
    "KeptAnswer",
    "Leadership",
    "Node",
    "OrderHold",
    "RateState",
    "Recall",
    "Secret",
    "StatsMinute",
    "Subscription",
    "Timer",
    "TimerGroup",
    "Waiting",
    "ZoneRules",
]
