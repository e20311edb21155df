import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models

import timers.models.fields
import timers.models.group


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Attempt",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("group_id", models.BigIntegerField()),
                ("timer_id", models.BigIntegerField()),
                ("name", models.CharField(max_length=200)),
                ("scheduled_for", models.DateTimeField()),
                ("attempt", models.PositiveSmallIntegerField()),
                (
                    "outcome",
                    models.CharField(
                        choices=[
                            ("succeeded", "succeeded"),
                            ("failed", "failed"),
                            ("cancelled", "cancelled"),
                            ("skipped", "skipped"),
                            ("error", "error"),
                            ("timeout", "timeout"),
                            ("lost", "lost"),
                            ("discarded", "discarded"),
                            ("snoozed", "snoozed"),
                        ],
                        max_length=10,
                    ),
                ),
                ("reason", models.TextField(null=True)),
                ("origin", models.CharField(max_length=10)),
                ("node", models.CharField(max_length=200, null=True)),
                ("worker", models.PositiveSmallIntegerField(null=True)),
                ("fence", models.BigIntegerField(null=True)),
                ("claimed_at", models.DateTimeField(null=True)),
                ("started_at", models.DateTimeField(null=True)),
                ("finished_at", models.DateTimeField()),
                ("missed_count", models.PositiveIntegerField(default=0)),
                ("result", timers.models.fields.ExactJSONField(null=True)),
                ("error_title", models.TextField(null=True)),
                ("error_detail", models.TextField(null=True)),
                ("error_fingerprint", models.CharField(max_length=32, null=True)),
                ("log", models.TextField(null=True)),
            ],
            options={
                "db_table": "timers_attempt",
                "ordering": ("-id",),
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="ClusterEvent",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("at", models.DateTimeField(db_index=True)),
                ("kind", models.CharField(max_length=40)),
                ("node", models.CharField(blank=True, default="", max_length=200)),
                ("detail", models.TextField(blank=True, default="")),
            ],
            options={
                "db_table": "timers_cluster_event",
            },
        ),
        migrations.CreateModel(
            name="Node",
            fields=[
                ("id", models.AutoField(primary_key=True, serialize=False)),
                ("name", models.CharField(max_length=200)),
                ("incarnation", models.UUIDField(unique=True)),
                ("host", models.CharField(max_length=200)),
                ("pid", models.PositiveIntegerField()),
                ("partition", models.CharField(default="default", max_length=200)),
                ("mode", models.CharField(default="distributed", max_length=20)),
                ("precedence", models.PositiveSmallIntegerField(default=0)),
                (
                    "roles",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=200), default=list, size=None
                    ),
                ),
                ("allow_execution", models.BooleanField(default=True)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("starting", "Starting"),
                            ("active", "Active"),
                            ("standby", "Standby"),
                            ("draining", "Draining"),
                            ("stopped", "Stopped"),
                            ("dead", "Dead"),
                        ],
                        default="starting",
                        max_length=10,
                    ),
                ),
                ("state_reason", models.TextField(blank=True, default="")),
                ("started_at", models.DateTimeField()),
                ("ended_at", models.DateTimeField(null=True)),
                ("heartbeat_at", models.DateTimeField()),
                ("heartbeat_interval", models.FloatField(help_text="Seconds.")),
                ("lease_expires_at", models.DateTimeField()),
                (
                    "clock_offset",
                    models.FloatField(default=0, help_text="Seconds that the node's clock is ahead of the database's."),
                ),
                (
                    "crash_lock",
                    models.BooleanField(
                        default=False, help_text="Whether a session lock tells other nodes of a crash."
                    ),
                ),
                ("workers", models.PositiveSmallIntegerField(default=0)),
                ("slots", models.PositiveIntegerField(default=0)),
                ("busy", models.PositiveIntegerField(default=0)),
                (
                    "counters",
                    timers.models.fields.ExactJSONField(
                        default=dict, help_text="What each worker has done since it started."
                    ),
                ),
                ("version", models.CharField(max_length=40)),
                (
                    "handlers",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=200), default=list, size=None
                    ),
                ),
                ("rss", models.BigIntegerField(help_text="Bytes of memory of supervisor and workers.", null=True)),
            ],
            options={
                "db_table": "timers_node",
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("state__in", ["starting", "active", "standby", "draining"])),
                        fields=("name",),
                        name="timers_node_one_live_per_name",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Leadership",
            fields=[
                ("partition", models.CharField(max_length=200, primary_key=True, serialize=False)),
                ("epoch", models.BigIntegerField(default=0)),
                ("expires_at", models.DateTimeField()),
                (
                    "node",
                    models.ForeignKey(
                        db_constraint=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, to="timers.node"
                    ),
                ),
            ],
            options={
                "db_table": "timers_leadership",
            },
        ),
        migrations.CreateModel(
            name="StatsMinute",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("minute", models.DateTimeField()),
                ("node_id", models.IntegerField()),
                ("group_id", models.BigIntegerField()),
                ("succeeded", models.BigIntegerField(default=0)),
                ("retried", models.BigIntegerField(default=0)),
                ("failed", models.BigIntegerField(default=0)),
                (
                    "lateness",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.BigIntegerField(),
                        help_text="Counts per bucket of LATENESS_BUCKETS_MS.",
                        size=None,
                    ),
                ),
                ("run_seconds", models.FloatField(default=0, help_text="Handler time, added up.")),
            ],
            options={
                "db_table": "timers_stats_minute",
                "constraints": [
                    models.UniqueConstraint(fields=("minute", "node_id", "group_id"), name="timers_stats_minute_key")
                ],
            },
        ),
        migrations.CreateModel(
            name="TimerGroup",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=200, unique=True)),
                ("description", models.TextField(blank=True)),
                (
                    "partition",
                    models.CharField(
                        default="default",
                        help_text="The slice of the cluster whose nodes see this group.",
                        max_length=200,
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[("active", "Active"), ("paused", "Paused")], default="active", max_length=10
                    ),
                ),
                ("state_reason", models.TextField(blank=True)),
                ("state_changed_by", models.CharField(blank=True, max_length=200)),
                ("state_changed_at", models.DateTimeField(blank=True, null=True)),
                (
                    "priority",
                    models.SmallIntegerField(
                        default=0, help_text="Groups with a higher number are served first when workers are short."
                    ),
                ),
                ("shards", models.PositiveSmallIntegerField(default=1, help_text="Hash slices of the group's timers.")),
                (
                    "required_roles",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=200),
                        blank=True,
                        default=list,
                        help_text="Only nodes that have all of these roles serve the group.",
                        size=None,
                    ),
                ),
                (
                    "action",
                    timers.models.fields.ExactJSONField(
                        blank=True,
                        help_text='What a fire does when the timer does not say, e.g. {"handler": "vendors.process"}.',
                        null=True,
                    ),
                ),
                (
                    "retry",
                    timers.models.fields.ExactJSONField(
                        default=timers.models.group.default_retry,
                        help_text="max_retries, min_backoff, max_backoff (seconds), jitter (0 to 1), or delays: a list of seconds.",
                    ),
                ),
                (
                    "misfire_policy",
                    models.CharField(
                        choices=[("fire_once", "fire_once")],
                        default="fire_once",
                        help_text="What happens to fires that are later than the grace. fire_once: one execution for the latest.",
                        max_length=20,
                    ),
                ),
                (
                    "misfire_grace",
                    models.FloatField(
                        default=60, help_text="Seconds after its instant from which a fire counts as missed."
                    ),
                ),
                (
                    "overlap_policy",
                    models.CharField(
                        choices=[("skip", "skip"), ("allow", "allow")],
                        default="skip",
                        help_text="What happens to a fire while the timer's execution before it is not ended.",
                        max_length=20,
                    ),
                ),
                (
                    "max_batch",
                    models.PositiveIntegerField(default=500, help_text="The most executions that one claim takes."),
                ),
                (
                    "attempt_timeout",
                    models.FloatField(
                        default=60,
                        help_text="Seconds that one try may run, where its handler names no timeout of its own.",
                    ),
                ),
                (
                    "on_failed",
                    models.CharField(
                        choices=[("park", "park"), ("drop", "drop")],
                        default="park",
                        help_text="park: keep a failed execution with its payload until a person decides. drop: only record it.",
                        max_length=10,
                    ),
                ),
                (
                    "on_finish",
                    models.CharField(
                        choices=[("keep", "keep"), ("delete", "delete")],
                        default="keep",
                        help_text="Whether a finished timer is kept or deleted.",
                        max_length=10,
                    ),
                ),
                (
                    "retention",
                    models.PositiveIntegerField(
                        blank=True,
                        help_text="Days that history is kept; empty: the installation's TIMERS_RETENTION.",
                        null=True,
                    ),
                ),
                ("version", models.PositiveIntegerField(default=1, editable=False)),
                ("created_at", models.DateTimeField()),
                ("updated_at", models.DateTimeField()),
            ],
            options={
                "verbose_name": "group",
                "db_table": "timers_timer_group",
                "ordering": ("name",),
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("state__in", ["active", "paused"])), name="timers_group_state"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("shards__gte", 1), ("shards__lte", 1024)), name="timers_group_shards"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("max_batch__gte", 1), ("max_batch__lte", 10000)),
                        name="timers_group_max_batch",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Timer",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("name", models.CharField(max_length=200)),
                ("description", models.TextField(blank=True, default="")),
                (
                    "tags",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=200), blank=True, default=list, size=None
                    ),
                ),
                (
                    "schedule_kind",
                    models.CharField(
                        choices=[
                            ("once", "once"),
                            ("fixed_rate", "fixed_rate"),
                            ("fixed_delay", "fixed_delay"),
                            ("cron", "cron"),
                        ],
                        max_length=20,
                    ),
                ),
                ("schedule", timers.models.fields.ExactJSONField()),
                ("time_zone", models.CharField(default="UTC", max_length=64)),
                ("start_at", models.DateTimeField(blank=True, null=True)),
                ("end_at", models.DateTimeField(blank=True, help_text="No fire after this instant.", null=True)),
                (
                    "max_fires",
                    models.PositiveIntegerField(blank=True, help_text="Finished after so many fires.", null=True),
                ),
                (
                    "until_committed",
                    models.BooleanField(
                        default=False,
                        help_text="One execution, shown again at each tick of the schedule until it is committed.",
                    ),
                ),
                ("payload", timers.models.fields.ExactJSONField(blank=True, null=True)),
                ("action", timers.models.fields.ExactJSONField(blank=True, help_text="Empty: the group's.", null=True)),
                (
                    "overrides",
                    timers.models.fields.ExactJSONField(
                        blank=True, help_text="Policies of the group that this timer replaces.", null=True
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("active", "Active"),
                            ("paused", "Paused"),
                            ("finished", "Finished"),
                            ("cancelled", "Cancelled"),
                        ],
                        default="active",
                        max_length=10,
                    ),
                ),
                ("state_reason", models.TextField(blank=True, default="")),
                ("state_changed_by", models.CharField(blank=True, default="", max_length=200)),
                ("state_changed_at", models.DateTimeField(blank=True, null=True)),
                ("next_fire_at", models.DateTimeField(blank=True, null=True)),
                ("last_fire_at", models.DateTimeField(blank=True, null=True)),
                ("fire_count", models.PositiveBigIntegerField(default=0)),
                (
                    "open_execution",
                    models.UUIDField(
                        blank=True,
                        help_text="The execution that the next fire must wait for or be skipped for.",
                        null=True,
                    ),
                ),
                ("last_outcome", models.CharField(blank=True, default="", max_length=10)),
                ("failures_in_a_row", models.PositiveIntegerField(default=0)),
                ("shard", models.PositiveSmallIntegerField(default=0)),
                ("version", models.PositiveIntegerField(default=1)),
                ("created_at", models.DateTimeField()),
                ("created_by", models.CharField(blank=True, default="", max_length=200)),
                ("updated_at", models.DateTimeField()),
                ("updated_by", models.CharField(blank=True, default="", max_length=200)),
                (
                    "group",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="timers",
                        to="timers.timergroup",
                    ),
                ),
            ],
            options={
                "db_table": "timers_timer",
            },
        ),
        migrations.CreateModel(
            name="Claim",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("worker", models.PositiveSmallIntegerField()),
                ("worker_pid", models.PositiveIntegerField()),
                ("claimed_at", models.DateTimeField()),
                ("executions", django.contrib.postgres.fields.ArrayField(base_field=models.UUIDField(), size=None)),
                ("details", timers.models.fields.ExactJSONField(null=True)),
                (
                    "node",
                    models.ForeignKey(
                        db_constraint=False, on_delete=django.db.models.deletion.DO_NOTHING, to="timers.node"
                    ),
                ),
                (
                    "group",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        to="timers.timergroup",
                    ),
                ),
            ],
            options={
                "db_table": "timers_claim",
            },
        ),
        migrations.CreateModel(
            name="Waiting",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("name", models.CharField(max_length=200)),
                ("state", models.CharField(choices=[("ready", "Ready"), ("failed", "Failed")], max_length=10)),
                ("available_at", models.DateTimeField()),
                ("attempt", models.PositiveSmallIntegerField(default=0, help_text="Tries so far.")),
                (
                    "forgiven",
                    models.PositiveSmallIntegerField(
                        default=0,
                        help_text="Tries that the retry policy does not count: snoozes, and those before a person's retry.",
                    ),
                ),
                ("missed_count", models.PositiveIntegerField(default=0)),
                (
                    "payload",
                    timers.models.fields.ExactJSONField(blank=True, help_text="Empty: the timer's.", null=True),
                ),
                (
                    "origin",
                    models.CharField(
                        choices=[
                            ("schedule", "schedule"),
                            ("manual", "manual"),
                            ("backfill", "backfill"),
                            ("replay", "replay"),
                        ],
                        default="schedule",
                        max_length=10,
                    ),
                ),
                ("reason", models.TextField(blank=True, default="")),
                ("error_title", models.TextField(blank=True, default="")),
                ("error_fingerprint", models.CharField(max_length=32, null=True)),
                ("created_at", models.DateTimeField()),
                ("changed_at", models.DateTimeField()),
                (
                    "group",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        to="timers.timergroup",
                    ),
                ),
                (
                    "timer",
                    models.ForeignKey(
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        to="timers.timer",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "waiting",
                "db_table": "timers_waiting",
            },
        ),
        migrations.AddIndex(
            model_name="timer",
            index=models.Index(fields=["group", "name"], name="timers_timer_group_name"),
        ),
        migrations.AddIndex(
            model_name="timer",
            index=models.Index(
                condition=models.Q(("state", "active")),
                fields=["group", "shard", "next_fire_at"],
                name="timers_timer_due",
            ),
        ),
        migrations.AddConstraint(
            model_name="timer",
            constraint=models.UniqueConstraint(
                condition=models.Q(("state__in", ["active", "paused"])),
                fields=("group", "name"),
                name="timers_timer_name",
            ),
        ),
        migrations.AddConstraint(
            model_name="timer",
            constraint=models.CheckConstraint(
                condition=models.Q(("state__in", ["active", "paused", "finished", "cancelled"])),
                name="timers_timer_state",
            ),
        ),
        migrations.AddConstraint(
            model_name="timer",
            constraint=models.CheckConstraint(
                condition=models.Q(("id__lte", 17592186044415)), name="timers_timer_id_fits"
            ),
        ),
        migrations.AddConstraint(
            model_name="timer",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("next_fire_at", None), ("open_execution", None), ("state", "active"), _negated=True
                ),
                name="timers_timer_active_has_next",
            ),
        ),
        migrations.AddIndex(
            model_name="waiting",
            index=models.Index(
                condition=models.Q(("state", "ready")), fields=["group", "available_at"], name="timers_waiting_ready"
            ),
        ),
        migrations.AddIndex(
            model_name="waiting",
            index=models.Index(
                condition=models.Q(("state", "failed")), fields=["error_fingerprint"], name="timers_waiting_failed"
            ),
        ),
        migrations.AddConstraint(
            model_name="waiting",
            constraint=models.CheckConstraint(
                condition=models.Q(("state__in", ["ready", "failed"])), name="timers_waiting_state"
            ),
        ),
    ]
