# Built while nodes work on: a transaction, or a plain index, would hold up every write to the timers for the build.

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ("timers", "0027_limit_keys"),
    ]

    operations = [
        # What a build that was interrupted has left: an invalid index of this name.
        migrations.RunSQL("DROP INDEX CONCURRENTLY IF EXISTS timers_timer_due_of_key", migrations.RunSQL.noop),
        AddIndexConcurrently(
            model_name="timer",
            index=models.Index(
                condition=models.Q(("limit_key__isnull", False), ("state", "active")),
                fields=["group", "shard", "priority", "limit_key", "next_fire_at"],
                name="timers_timer_due_of_key",
            ),
        ),
    ]
