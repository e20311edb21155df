# Deadlines by group, whose clocks may differ, and orders that stand before a step: both are looked for while idle.

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ("timers", "0031_chains"),
    ]

    operations = [
        # What builds that were interrupted have left: invalid indexes of these names.
        migrations.RunSQL("DROP INDEX CONCURRENTLY IF EXISTS timers_order_late", migrations.RunSQL.noop),
        migrations.RunSQL("DROP INDEX CONCURRENTLY IF EXISTS timers_order_stopped", migrations.RunSQL.noop),
        AddIndexConcurrently(
            model_name="chainorder",
            index=models.Index(
                condition=models.Q(("deadline_at__isnull", False)),
                fields=["group", "deadline_at"],
                name="timers_order_late",
            ),
        ),
        AddIndexConcurrently(
            model_name="chainorder",
            index=models.Index(
                condition=models.Q(("state", "at_stopped")),
                fields=["chain", "step", "id"],
                name="timers_order_stopped",
            ),
        ),
        migrations.RemoveIndex(model_name="chainorder", name="timers_order_deadline"),
    ]
