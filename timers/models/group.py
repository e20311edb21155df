"""TimerGroup: timers that are treated the same way."""

from __future__ import annotations

from collections.abc import Collection

from django.contrib.postgres.fields import ArrayField
from django.db import models

from timers.domain import cluster_modes, names, policies
from timers.domain.limit_keys import MAX_PATH, KeyPath
from timers.domain.limits import Limits
from timers.domain.rates import Rate
from timers.models.fields import ExactJSONField
from timers.models.in_flight import InFlight

NAME_LENGTH = names.NAME_LENGTH


def default_retry() -> dict[str, object]:
    """Return the default retry policy of a group, as JSON."""
    return policies.Retry().to_spec()


def default_priorities() -> list[int]:
    """Return the priorities of the timers of a new group."""
    return [0]


class TimerGroup(InFlight, models.Model):
    """Timers treated the same way: retry, misfire, overlap, limits, allowed nodes, retention."""

    class State(models.TextChoices):
        ACTIVE = "active"
        PAUSED = "paused"

    LIMIT_FIELDS = (
        "max_concurrency", "max_rate", "concurrency_key", "max_concurrency_per_key", "max_rate_per_key",
    )  # fmt: skip
    """Fields from which `limits` is built."""

    name = models.CharField(max_length=NAME_LENGTH, unique=True)
    description = models.TextField(blank=True)
    partition = models.CharField(
        max_length=NAME_LENGTH, default="default", help_text="The slice of the cluster whose nodes see this group."
    )
    state = models.CharField(max_length=10, choices=State, default=State.ACTIVE)
    state_reason = models.TextField(blank=True)
    state_changed_by = models.CharField(max_length=NAME_LENGTH, blank=True)
    state_changed_at = models.DateTimeField(null=True, blank=True)
    paused_until = models.DateTimeField(null=True, blank=True, help_text="Resumed by itself at this instant.")
    priority = models.SmallIntegerField(
        default=0, help_text="Groups with a higher number are served first when workers are short."
    )
    shards = models.PositiveSmallIntegerField(
        default=1, help_text="Hash slices of the group's timers; it can change while timers fire."
    )
    probed_shards = models.PositiveSmallIntegerField(
        default=1,
        db_default=1,
        editable=False,
        help_text="Shards that timers may still be in: more than `shards` until all have moved after a change.",
    )
    moved_to_shards_up_to = models.CharField(
        max_length=NAME_LENGTH,
        null=True,
        editable=False,
        help_text="Timers up to this name have been moved to the shards of the present number; NULL: all have.",
    )
    timer_priorities = ArrayField(
        models.SmallIntegerField(), default=default_priorities, editable=False, help_text="Those that its timers have."
    )
    orders_by_priority = models.BooleanField(
        default=False,
        db_default=False,
        editable=False,
        help_text="Whether orders of its chains may have priorities: claims look for those by themselves.",
    )
    worker_ordinals = ArrayField(
        models.SmallIntegerField(),
        null=True,
        editable=False,
        help_text="Whose ready executions workers take up: 0 (of no subscription), and ordinals of subscriptions."
        " NULL: the group has no subscriptions.",
    )
    required_roles = ArrayField(
        models.CharField(max_length=NAME_LENGTH),
        default=list,
        blank=True,
        help_text="Only nodes that have all of these roles serve the group.",
    )
    placement = models.CharField(
        max_length=20,
        choices=[(name, name) for name in cluster_modes.PLACEMENTS],
        default=cluster_modes.DISTRIBUTED,
        db_default=cluster_modes.DISTRIBUTED,
        help_text="Which nodes fire it. distributed: all that serve it; lead: only the node that leads the partition.",
    )
    action = ExactJSONField(
        null=True,
        blank=True,
        help_text='What a fire does when the timer does not say, e.g. {"handler": "vendors.process"}.',
    )
    retry = ExactJSONField(
        default=default_retry,
        help_text="max_retries, min_backoff, max_backoff (seconds), jitter (0 to 1), or delays: a list of seconds.",
    )
    misfire_policy = models.CharField(
        max_length=20,
        choices=[(name, name) for name in policies.MISFIRE_POLICIES],
        default="fire_once",
        help_text="What happens to fires that are later than the grace. fire_once: one execution for the latest;"
        " fire_all: each, oldest first; skip: none.",
    )
    misfire_grace = models.FloatField(
        default=60, help_text="Seconds after its instant from which a fire counts as missed."
    )
    max_lateness = models.FloatField(
        null=True,
        blank=True,
        help_text="Seconds after its instant from which a fire is skipped as expired; empty: never.",
    )
    max_catchup = models.PositiveIntegerField(
        default=1000, help_text="The most missed fires that fire_all makes up for; the rest is recorded as skipped."
    )
    overlap_policy = models.CharField(
        max_length=20,
        choices=[(name, name) for name in policies.OVERLAP_POLICIES],
        default="skip",
        help_text="What happens to a fire while the timer's execution before it is not ended. skip: it is skipped;"
        " queue: it waits for the end; allow: both run; replace: the one before is cancelled.",
    )
    max_queued = models.PositiveIntegerField(
        default=1, help_text="The most fires that queue behind a running one; further ones are skipped."
    )
    retry_blocks = models.BooleanField(
        default=True,
        db_default=True,
        help_text="Whether an execution that waits for its retry counts as not ended for the overlap policy.",
    )
    pause_after_failures = models.PositiveIntegerField(
        default=0, help_text="A timer pauses itself after so many failed executions in a row; 0: never."
    )
    exclusion_calendars = ArrayField(
        models.CharField(max_length=NAME_LENGTH),
        default=list,
        blank=True,
        help_text="Exclusion calendars: at the instants that these exclude, nothing is fired.",
    )
    on_excluded = models.CharField(
        max_length=10,
        choices=[(name, name) for name in policies.ON_EXCLUDED],
        default="suppress",
        help_text="What happens to a fire at an excluded instant. suppress: it is skipped; before, after: it is moved.",
    )
    max_batch = models.PositiveIntegerField(default=500, help_text="The most executions that one claim takes.")
    max_concurrency = models.PositiveIntegerField(
        null=True,
        blank=True,
        help_text="The most executions that are claimed at once, over all nodes and consumers; empty: no limit.",
    )
    max_rate = models.CharField(
        max_length=20,
        null=True,
        blank=True,
        help_text="The most executions that start in a period, over all nodes and consumers: 50/s, 100/min, 10/30s;"
        " empty: no limit.",
    )
    concurrency_key = models.CharField(
        max_length=MAX_PATH,
        null=True,
        blank=True,
        help_text="Where the payload of a timer that names no key has it, such as payload.tenant; empty: nowhere.",
    )
    max_concurrency_per_key = models.PositiveIntegerField(
        null=True, blank=True, help_text="The most executions of one key that are claimed at once; empty: no limit."
    )
    max_rate_per_key = models.CharField(
        max_length=20,
        null=True,
        blank=True,
        help_text="The most executions of one key that start in a period, such as 5/s; empty: no limit.",
    )
    attempt_timeout = models.FloatField(
        default=60, help_text="Seconds that one try may run, where its handler names no timeout of its own."
    )
    on_failed = models.CharField(
        max_length=10,
        choices=[(name, name) for name in policies.ON_FAILED],
        default="park",
        help_text="park: keep a failed execution with its payload until a person decides. drop: only record it.",
    )
    on_finish = models.CharField(
        max_length=10,
        choices=[(name, name) for name in policies.ON_FINISH],
        default="keep",
        help_text="Whether a finished timer is kept or deleted.",
    )
    retention = models.PositiveIntegerField(
        null=True, blank=True, help_text="Days that history is kept; empty: the installation's TIMERS_RETENTION."
    )
    max_timers = models.PositiveIntegerField(
        null=True, blank=True, help_text="The most active and paused timers that the group may have; empty: no limit."
    )
    max_payload_bytes = models.PositiveIntegerField(
        null=True, blank=True, help_text="The most bytes of a timer's payload; empty: what any payload may have."
    )
    min_interval = models.FloatField(
        null=True, blank=True, help_text="The fewest seconds between two fires of a timer; empty: no limit."
    )
    spare_timers = models.PositiveIntegerField(
        default=0, editable=False, help_text="Timers that may be created before the living ones are counted again."
    )
    sandbox = models.BooleanField(
        default=False, editable=False, help_text="The group has a clock of its own, which can be frozen and advanced."
    )
    clock_frozen_at = models.DateTimeField(null=True, blank=True, editable=False)
    clock_ahead_us = models.BigIntegerField(
        default=0,
        editable=False,
        help_text="Microseconds by which the group's running clock is ahead of the database's.",
    )
    version = models.PositiveIntegerField(default=1, editable=False)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        db_table = "timers_timer_group"
        verbose_name = "group"
        ordering = ("name",)
        constraints = (
            models.CheckConstraint(condition=models.Q(state__in=["active", "paused"]), name="timers_group_state"),
            models.CheckConstraint(condition=models.Q(shards__gte=1, shards__lte=1024), name="timers_group_shards"),
            models.CheckConstraint(
                condition=models.Q(max_batch__gte=1, max_batch__lte=10_000), name="timers_group_max_batch"
            ),
            models.CheckConstraint(
                condition=models.Q(max_concurrency=None) | models.Q(max_concurrency__gte=1),
                name="timers_group_max_concurrency",
            ),
            models.CheckConstraint(
                condition=models.Q(max_concurrency_per_key=None) | models.Q(max_concurrency_per_key__gte=1),
                name="timers_group_max_per_key",
            ),
            models.CheckConstraint(
                condition=models.Q(placement__in=list(cluster_modes.PLACEMENTS)), name="timers_group_placement"
            ),
        )

    def __str__(self) -> str:
        return self.name

    def policies(self) -> policies.Policies:
        """Return the group's policies as a value.

        Raises:
            InvalidRequest: a column has an invalid value, which was not written by the service.
        """
        return policies.Policies().with_overrides({name: getattr(self, name) for name in policies.OVERRIDABLE})

    def limits(self) -> Limits:
        """Return how many of its executions may be claimed at once, and may start in a period.

        Raises:
            InvalidRequest: a column has an invalid value, which was not written by the service.
        """
        path = self.concurrency_key
        return Limits(
            self.max_concurrency,
            _rate(self.max_rate, "max_rate"),
            self.max_concurrency_per_key,
            _rate(self.max_rate_per_key, "max_rate_per_key"),
            None if path is None else KeyPath.parse(path, "concurrency_key"),
        )


def _rate(text: str | None, field: str) -> Rate | None:
    return None if text is None else Rate.parse(text, field)


def group_ids(names: Collection[str]) -> list[int]:
    """Return the ids of the groups that have these names now; unknown names are left out."""
    return list(TimerGroup.objects.filter(name__in=list(names)).values_list("id", flat=True))
