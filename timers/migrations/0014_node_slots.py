from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("timers", "0013_node_wishes"),
    ]

    operations = [
        migrations.AddField(
            model_name="node",
            name="threads",
            field=models.PositiveIntegerField(
                default=0, db_default=0, help_text="Plain handlers that all its workers together run at once."
            ),
        ),
        migrations.AddField(
            model_name="node",
            name="async_slots",
            field=models.PositiveIntegerField(
                default=0,
                db_default=0,
                help_text="Async handlers and HTTP calls that all its workers together run at once.",
            ),
        ),
        migrations.AddField(
            model_name="node",
            name="busy_threads",
            field=models.PositiveIntegerField(default=0, db_default=0, help_text="Those of them that ran in a thread."),
        ),
        migrations.AddField(
            model_name="claim",
            name="revoke_reasons",
            field=models.JSONField(null=True, help_text="Why, by execution."),
        ),
        migrations.AddField(
            model_name="statsminute",
            name="lateness_max_ms",
            field=models.BigIntegerField(null=True, help_text="The greatest lateness; empty: none was measured."),
        ),
        migrations.AlterField(
            model_name="node",
            name="slots",
            field=models.PositiveIntegerField(default=0, help_text="The sum of threads and async_slots."),
        ),
        migrations.AlterField(
            model_name="node",
            name="busy",
            field=models.PositiveIntegerField(default=0, help_text="Executions that ran at the last heartbeat."),
        ),
    ]
