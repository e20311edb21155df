# Built while nodes work on: a transaction, or a plain index, would hold up every write to the table for the build.

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ("timers", "0029_waiting_limit_key"),
    ]

    operations = [
        # What a build that was interrupted has left: an invalid index of this name.
        migrations.RunSQL("DROP INDEX CONCURRENTLY IF EXISTS timers_waiting_ready_of_key", migrations.RunSQL.noop),
        AddIndexConcurrently(
            model_name="waiting",
            index=models.Index(
                condition=models.Q(("limit_key__isnull", False), ("state", "ready")),
                fields=["group", "subscription", "limit_key", "available_at"],
                name="timers_waiting_ready_of_key",
            ),
        ),
    ]
