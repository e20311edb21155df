# Groups that had chains and priorities of timers before 0032, or got both at the same time, are marked as groups that
# have orders with priorities. Only groups with chains are written, in one short statement.

from django.db import migrations

MARK = """
UPDATE timers_timer_group g SET orders_by_priority = true, version = g.version + 1
WHERE NOT g.orders_by_priority AND EXISTS (SELECT 1 FROM unnest(g.timer_priorities) AS p WHERE p <> 0)
  AND EXISTS (SELECT 1 FROM timers_chain c WHERE c.group_id = g.id)
"""


class Migration(migrations.Migration):
    dependencies = [
        ("timers", "0033_order_priorities_index"),
    ]

    operations = [
        migrations.RunSQL(MARK, migrations.RunSQL.noop),
    ]
