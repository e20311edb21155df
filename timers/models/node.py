"""Node: one start of one runtimerworker; Leadership: which node leads a partition."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models

from timers.domain import cluster_modes
from timers.models.fields import ExactJSONField
from timers.models.group import NAME_LENGTH


class Node(models.Model):
    """One incarnation of a running node: each start inserts a new row, which separates its claims from later ones."""

    class State(models.TextChoices):
        STARTING = "starting"
        ACTIVE = "active"
        STANDBY = "standby"
        DRAINING = "draining"
        STOPPED = "stopped"
        DEAD = "dead"

    class Wish(models.TextChoices):
        NONE = ""
        DRAIN = "drain"
        STOP = "stop"

    LIVE = (State.STARTING, State.ACTIVE, State.STANDBY, State.DRAINING)

    # An int, not a bigint: the second key of the crash lock (pg_advisory_lock(int, int)).
    id = models.AutoField(primary_key=True)
    name = models.CharField(max_length=NAME_LENGTH)
    incarnation = models.UUIDField(unique=True)
    host = models.CharField(max_length=NAME_LENGTH)
    machine = models.CharField(
        max_length=40,
        blank=True,
        default="",
        db_default="",
        help_text="Distinguishes machines of one host name; empty: not known.",
    )
    pid = models.PositiveIntegerField()
    partition = models.CharField(max_length=NAME_LENGTH, default="default")
    mode = models.CharField(max_length=20, default=cluster_modes.DISTRIBUTED)
    precedence = models.PositiveSmallIntegerField(default=0)
    on_stop = models.CharField(max_length=10, default=cluster_modes.HANDOVER, db_default=cluster_modes.HANDOVER)
    failback = models.CharField(max_length=10, default=cluster_modes.AUTO, db_default=cluster_modes.AUTO)
    roles = ArrayField(models.CharField(max_length=NAME_LENGTH), default=list)
    allow_execution = models.BooleanField(default=True)
    state = models.CharField(max_length=10, choices=State, default=State.STARTING)
    state_reason = models.TextField(blank=True, default="")
    wish = models.CharField(
        max_length=10, choices=Wish, blank=True, default=Wish.NONE, help_text="What a person asks of this incarnation."
    )
    wish_reason = models.TextField(blank=True, default="")
    wished_by = models.CharField(max_length=NAME_LENGTH, blank=True, default="")
    wished_at = models.DateTimeField(null=True)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    heartbeat_at = models.DateTimeField()
    heartbeat_interval = models.FloatField(help_text="Seconds.")
    heartbeat_intervals = ArrayField(
        models.FloatField(), default=list, db_default=[], help_text="Seconds between its latest heartbeats."
    )
    suspect_since = models.DateTimeField(
        null=True, help_text="When another node noticed that its heartbeat was missing; empty: it is not suspect."
    )
    lease_expires_at = models.DateTimeField()
    clock_offset = models.FloatField(default=0, help_text="Seconds that the node's clock is ahead of the database's.")
    crash_lock = models.BooleanField(default=False, help_text="Whether a session lock tells other nodes of a crash.")
    workers = models.PositiveSmallIntegerField(default=0)
    threads = models.PositiveIntegerField(
        default=0, db_default=0, help_text="Plain handlers that all its workers together run at once."
    )
    async_slots = models.PositiveIntegerField(
        default=0, db_default=0, help_text="Async handlers and HTTP calls that all its workers together run at once."
    )
    slots = models.PositiveIntegerField(default=0, help_text="The sum of threads and async_slots.")
    busy = models.PositiveIntegerField(default=0, help_text="Executions that ran at the last heartbeat.")
    busy_threads = models.PositiveIntegerField(default=0, db_default=0, help_text="Those of them that ran in a thread.")
    counters = ExactJSONField(default=dict, help_text="What each worker has done since it started.")
    version = models.CharField(max_length=40)
    zone_rules = models.CharField(max_length=40, blank=True, default="", help_text="Edition of its time zone rules.")
    look_ahead = models.FloatField(
        default=0, db_default=0, help_text="Seconds that it claims timers ahead of their instants."
    )
    listens = models.BooleanField(default=False, db_default=False, help_text="Whether it is woken by NOTIFY.")
    settings = ExactJSONField(default=dict, db_default={}, help_text="Its settings that must be the same everywhere.")
    config_hash = models.CharField(
        max_length=40,
        blank=True,
        default="",
        db_default="",
        help_text="A digest of settings, version, time zone rules and handlers.",
    )
    handlers = ArrayField(models.CharField(max_length=NAME_LENGTH), default=list)
    rss = models.BigIntegerField(null=True, help_text="Bytes of memory of supervisor and workers.")

    class Meta:
        db_table = "timers_node"

    def __str__(self) -> str:
        return self.name


class Leadership(models.Model):
    """Which node leads a partition; the epoch rises with each change and fences the previous leader."""

    partition = models.CharField(max_length=NAME_LENGTH, primary_key=True)
    node = models.ForeignKey(Node, on_delete=models.DO_NOTHING, db_constraint=False, null=True)
    epoch = models.BigIntegerField(default=0)
    expires_at = models.DateTimeField(help_text="The end of the leader's lease, renewed with its heartbeat.")
    since = models.DateTimeField(null=True, help_text="When the leader took the lead.")
    led_since = models.DateTimeField(null=True, help_text="Since when there has been a leader without a break.")
    held_precedence = models.PositiveSmallIntegerField(
        null=True, help_text="The leader has stopped and kept the lead for nodes of this precedence or a lower one."
    )
    is_pinned = models.BooleanField(
        default=False, db_default=False, help_text="A person chose the leader: no automatic failback."
    )
    has_had_primary = models.BooleanField(
        default=False, db_default=False, help_text="An exclusive node has led the partition before."
    )

    class Meta:
        db_table = "timers_leadership"

    def __str__(self) -> str:
        return f"{self.partition}: epoch {self.epoch}"
