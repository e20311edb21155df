# Built while nodes work on: a transaction, or a plain index, would hold up every write to the table for the build.

from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ("timers", "0032_order_priorities"),
    ]

    operations = [
        # What a build that was interrupted has left: invalid indexes of these names.
        migrations.RunSQL(
            [
                "DROP INDEX CONCURRENTLY IF EXISTS timers_waiting_ready_first",
                "DROP INDEX CONCURRENTLY IF EXISTS timers_waiting_blocked_first",
            ],
            migrations.RunSQL.noop,
        ),
        AddIndexConcurrently(
            model_name="waiting",
            index=models.Index(
                condition=models.Q(("state", "ready"), models.Q(("priority", 0), _negated=True)),
                fields=["group", "subscription", "-priority", "available_at"],
                name="timers_waiting_ready_first",
            ),
        ),
        AddIndexConcurrently(
            model_name="waiting",
            index=models.Index(
                condition=models.Q(("blocked_on__isnull", False)),
                fields=["blocked_on", "-priority", "available_at"],
                name="timers_waiting_blocked_first",
            ),
        ),
        RemoveIndexConcurrently(model_name="waiting", name="timers_waiting_blocked"),
    ]
