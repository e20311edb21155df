# Chains and their orders; the ledger's word for a step after which an order goes on, and the name of the step.

import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models

import timers.models.fields

# Not validated: what is there had fewer words to choose from, and a look at every row would hold up the nodes.
LEDGER = """
CREATE SEQUENCE IF NOT EXISTS timers_branch CYCLE;
ALTER TABLE timers_attempt ADD COLUMN IF NOT EXISTS step varchar(200);
ALTER TABLE timers_attempt DROP CONSTRAINT IF EXISTS timers_attempt_outcome_check;
ALTER TABLE timers_attempt ADD CONSTRAINT timers_attempt_outcome_check
    CHECK (outcome IN ('succeeded', 'failed', 'cancelled', 'skipped',
                       'error', 'timeout', 'lost', 'discarded', 'snoozed', 'advanced')) NOT VALID;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("timers", "0030_waiting_limit_key_index"),
    ]

    operations = [
        migrations.RunSQL(LEDGER, migrations.RunSQL.noop),
        migrations.CreateModel(
            name="Chain",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=200)),
                (
                    "state",
                    models.CharField(
                        choices=[("active", "Active"), ("stopped", "Stopped")],
                        default="active",
                        editable=False,
                        max_length=10,
                    ),
                ),
                ("state_reason", models.TextField(blank=True, default="", editable=False)),
                ("state_changed_by", models.CharField(blank=True, default="", editable=False, max_length=200)),
                ("state_changed_at", models.DateTimeField(blank=True, editable=False, null=True)),
                (
                    "newest",
                    models.PositiveIntegerField(
                        default=1, editable=False, help_text="The version that new orders take."
                    ),
                ),
                (
                    "is_releasing",
                    models.BooleanField(
                        default=False, editable=False, help_text="Orders that stood before a step may have to go on."
                    ),
                ),
                (
                    "source",
                    models.CharField(
                        blank=True,
                        db_default="",
                        default="",
                        editable=False,
                        help_text="The file that declares the chain; empty: none.",
                        max_length=200,
                    ),
                ),
                (
                    "owner",
                    models.CharField(
                        blank=True,
                        db_default="",
                        default="",
                        editable=False,
                        help_text="The program that declares the chain; empty: none.",
                        max_length=200,
                    ),
                ),
                (
                    "declared_version",
                    models.PositiveIntegerField(
                        editable=False,
                        help_text="The version that was declared last; empty: it is not declared any more.",
                        null=True,
                    ),
                ),
                ("created_at", models.DateTimeField(editable=False)),
                ("created_by", models.CharField(blank=True, default="", editable=False, max_length=200)),
                ("updated_at", models.DateTimeField(editable=False)),
                ("updated_by", models.CharField(blank=True, default="", editable=False, max_length=200)),
            ],
            options={
                "db_table": "timers_chain",
                "ordering": ("group__name", "name"),
            },
        ),
        migrations.CreateModel(
            name="ChainLock",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=200)),
                ("capacity", models.PositiveIntegerField(help_text="How many orders may hold it at once.")),
            ],
            options={
                "db_table": "timers_chain_lock",
                "ordering": ("group__name", "name"),
            },
        ),
        migrations.CreateModel(
            name="ChainOrder",
            fields=[
                ("id", models.UUIDField(help_text="The execution's.", primary_key=True, serialize=False)),
                (
                    "root",
                    models.UUIDField(
                        help_text="The order that this one belongs to in the end; its own id where it is that."
                    ),
                ),
                (
                    "parent",
                    models.UUIDField(help_text="The order that this one is a branch or a sub-chain of.", null=True),
                ),
                (
                    "parent_round",
                    models.PositiveIntegerField(help_text="The turn in which the parent began it.", null=True),
                ),
                ("timer_id", models.BigIntegerField()),
                ("name", models.CharField(max_length=200)),
                ("step", models.CharField(max_length=200)),
                ("state", models.CharField(max_length=10)),
                ("available_at", models.DateTimeField(null=True)),
                ("reason", models.TextField(blank=True, default="")),
                ("variables", timers.models.fields.ExactJSONField()),
                ("visits", timers.models.fields.ExactJSONField()),
                ("setbacks", models.PositiveIntegerField(default=0)),
                ("turn", models.PositiveIntegerField(default=0)),
                ("round", models.PositiveIntegerField(null=True)),
                ("total", models.PositiveIntegerField(help_text="Branches of the present round in all.", null=True)),
                (
                    "is_reset",
                    models.BooleanField(
                        default=False, help_text="A branch that is to begin again, and is not counted."
                    ),
                ),
                ("branch_of", models.CharField(help_text="The fork or map that began it.", max_length=200, null=True)),
                ("branch_name", models.CharField(max_length=200, null=True)),
                ("branch_index", models.PositiveIntegerField(null=True)),
                ("is_suspend_requested", models.BooleanField(default=False)),
                ("in_finally", models.BooleanField(default=False)),
                (
                    "pending",
                    timers.models.fields.ExactJSONField(
                        help_text="The outcome that applies after the finally steps.", null=True
                    ),
                ),
                ("deadline_at", models.DateTimeField(null=True)),
                ("outcome", models.CharField(max_length=10, null=True)),
                (
                    "result",
                    timers.models.fields.ExactJSONField(
                        help_text="What a branch or sub-chain hands to its parent.", null=True
                    ),
                ),
                (
                    "attempts",
                    models.PositiveIntegerField(default=0, help_text="Rows that its attempts have in the ledger."),
                ),
                ("priority", models.IntegerField(default=0)),
                ("created_at", models.DateTimeField()),
                ("changed_at", models.DateTimeField()),
                ("ended_at", models.DateTimeField(null=True)),
            ],
            options={
                "db_table": "timers_chain_order",
            },
        ),
        migrations.CreateModel(
            name="ChainStep",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=200)),
                (
                    "state",
                    models.CharField(
                        choices=[("active", "Active"), ("stopped", "Stopped"), ("skipped", "Skipped")],
                        default="active",
                        max_length=10,
                    ),
                ),
                ("state_reason", models.TextField(blank=True, default="")),
                ("state_changed_by", models.CharField(blank=True, default="", max_length=200)),
                ("state_changed_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "db_table": "timers_chain_step",
            },
        ),
        migrations.CreateModel(
            name="ChainVersion",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("version", models.PositiveIntegerField()),
                (
                    "definition",
                    timers.models.fields.ExactJSONField(help_text="The steps, as docs/chains.md describes them."),
                ),
                ("created_at", models.DateTimeField(editable=False)),
                ("created_by", models.CharField(blank=True, default="", editable=False, max_length=200)),
            ],
            options={
                "db_table": "timers_chain_version",
                "ordering": ("chain", "-version"),
            },
        ),
        migrations.CreateModel(
            name="OrderHold",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("scope", models.CharField(max_length=600)),
                ("order_id", models.UUIDField()),
                ("fence", models.BigIntegerField()),
            ],
            options={
                "db_table": "timers_order_hold",
            },
        ),
        migrations.RemoveConstraint(
            model_name="waiting",
            name="timers_waiting_state",
        ),
        migrations.AddField(
            model_name="waiting",
            name="blocked_capacity",
            field=models.PositiveIntegerField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name="waiting",
            name="blocked_on",
            field=models.CharField(
                editable=False, help_text="The lock or limit that it waits for.", max_length=600, null=True
            ),
        ),
        migrations.AddField(
            model_name="waiting",
            name="handler",
            field=models.TextField(
                editable=False, help_text="The handler that the step calls, where it calls one.", null=True
            ),
        ),
        migrations.AddField(
            model_name="waiting",
            name="required_roles",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(max_length=200),
                editable=False,
                help_text="Roles that the step requires.",
                null=True,
                size=None,
            ),
        ),
        migrations.AddField(
            model_name="waiting",
            name="step",
            field=models.CharField(
                editable=False, help_text="Of an order of a chain: the step that it is at.", max_length=200, null=True
            ),
        ),
        migrations.AlterField(
            model_name="waiting",
            name="state",
            field=models.CharField(
                choices=[("ready", "Ready"), ("queued", "Queued"), ("failed", "Failed"), ("blocked", "Blocked")],
                max_length=10,
            ),
        ),
        migrations.AddIndex(
            model_name="waiting",
            index=models.Index(
                condition=models.Q(("blocked_on__isnull", False)),
                fields=["blocked_on", "available_at"],
                name="timers_waiting_blocked",
            ),
        ),
        migrations.AddConstraint(
            model_name="waiting",
            constraint=models.CheckConstraint(
                condition=models.Q(("state__in", ["ready", "queued", "failed", "blocked"])), name="timers_waiting_state"
            ),
        ),
        migrations.AddField(
            model_name="chain",
            name="group",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="chains",
                to="timers.timergroup",
            ),
        ),
        migrations.AddField(
            model_name="chainlock",
            name="group",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="chain_locks",
                to="timers.timergroup",
            ),
        ),
        migrations.AddField(
            model_name="chainorder",
            name="chain",
            field=models.ForeignKey(
                db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, to="timers.chain"
            ),
        ),
        migrations.AddField(
            model_name="chainorder",
            name="group",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                to="timers.timergroup",
            ),
        ),
        migrations.AddField(
            model_name="chainstep",
            name="chain",
            field=models.ForeignKey(
                db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name="steps", to="timers.chain"
            ),
        ),
        migrations.AddField(
            model_name="chainversion",
            name="chain",
            field=models.ForeignKey(
                db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name="versions", to="timers.chain"
            ),
        ),
        migrations.AddField(
            model_name="chainorder",
            name="version",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                to="timers.chainversion",
            ),
        ),
        migrations.AddIndex(
            model_name="orderhold",
            index=models.Index(fields=["scope"], name="timers_order_hold_scope"),
        ),
        migrations.AddIndex(
            model_name="orderhold",
            index=models.Index(fields=["order_id"], name="timers_order_hold_order"),
        ),
        migrations.AddConstraint(
            model_name="chain",
            constraint=models.UniqueConstraint(fields=("group", "name"), name="timers_chain_name"),
        ),
        migrations.AddConstraint(
            model_name="chainlock",
            constraint=models.UniqueConstraint(fields=("group", "name"), name="timers_chain_lock_name"),
        ),
        migrations.AddConstraint(
            model_name="chainstep",
            constraint=models.UniqueConstraint(fields=("chain", "name"), name="timers_chain_step_name"),
        ),
        migrations.AddConstraint(
            model_name="chainversion",
            constraint=models.UniqueConstraint(fields=("chain", "version"), name="timers_chain_version_number"),
        ),
        migrations.AddIndex(
            model_name="chainorder",
            index=models.Index(
                condition=models.Q(("parent__isnull", False)),
                fields=["parent", "parent_round"],
                name="timers_order_of_parent",
            ),
        ),
        migrations.AddIndex(
            model_name="chainorder",
            index=models.Index(
                condition=models.Q(("ended_at", None)), fields=["chain", "step", "id"], name="timers_order_at_step"
            ),
        ),
        migrations.AddIndex(
            model_name="chainorder",
            index=models.Index(
                condition=models.Q(("deadline_at__isnull", False)),
                fields=["group", "deadline_at"],
                name="timers_order_late",
            ),
        ),
        migrations.AddIndex(
            model_name="chainorder",
            index=models.Index(
                condition=models.Q(("state", "at_stopped")), fields=["chain", "step", "id"], name="timers_order_stopped"
            ),
        ),
        migrations.AddIndex(
            model_name="chainorder",
            index=models.Index(fields=["timer_id", "id"], name="timers_order_of_timer"),
        ),
        migrations.AddIndex(
            model_name="chainorder",
            index=models.Index(
                condition=models.Q(("ended_at__isnull", False)), fields=["ended_at"], name="timers_order_ended"
            ),
        ),
        migrations.AddIndex(
            model_name="chainorder",
            index=models.Index(
                condition=models.Q(("parent__isnull", False)), fields=["root"], name="timers_order_of_root"
            ),
        ),
    ]
