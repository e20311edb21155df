import django.contrib.postgres.fields
from django.db import migrations, models

import timers.models.fields


class Migration(migrations.Migration):
    dependencies = [
        ("timers", "0015_identities"),
    ]

    operations = [
        migrations.CreateModel(
            name="Recall",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("node_id", models.IntegerField()),
                ("worker_pid", models.PositiveIntegerField()),
                (
                    "token",
                    models.IntegerField(
                        help_text="Key of the advisory lock that the change holds until its transaction ends."
                    ),
                ),
                ("executions", django.contrib.postgres.fields.ArrayField(base_field=models.UUIDField(), size=None)),
                (
                    "held_back",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.UUIDField(),
                        help_text="The answer: those that had not begun. Empty until there is one.",
                        null=True,
                        size=None,
                    ),
                ),
                ("created_at", models.DateTimeField()),
            ],
            options={
                "db_table": "timers_recall",
            },
        ),
        migrations.AddField(
            model_name="node",
            name="listens",
            field=models.BooleanField(db_default=False, default=False, help_text="Whether it is woken by NOTIFY."),
        ),
        migrations.AddField(
            model_name="node",
            name="look_ahead",
            field=models.FloatField(
                db_default=0, default=0, help_text="Seconds that it claims timers ahead of their instants."
            ),
        ),
        migrations.AddField(
            model_name="node",
            name="settings",
            field=timers.models.fields.ExactJSONField(
                db_default={}, default=dict, help_text="Its settings that must be the same everywhere."
            ),
        ),
    ]
