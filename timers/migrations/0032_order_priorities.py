# Priorities of orders of chains, and the names of the variables that an attempt of a step set.

from django.db import migrations, models

LEDGER = "ALTER TABLE timers_attempt ADD COLUMN IF NOT EXISTS variables json"


class Migration(migrations.Migration):
    dependencies = [
        ("timers", "0031_chains"),
    ]

    operations = [
        migrations.RunSQL(LEDGER, migrations.RunSQL.noop),
        migrations.AddField(
            model_name="timergroup",
            name="orders_by_priority",
            field=models.BooleanField(
                db_default=False,
                default=False,
                editable=False,
                help_text="Whether orders of its chains may have priorities: claims look for those by themselves.",
            ),
        ),
        migrations.AddField(
            model_name="waiting",
            name="priority",
            field=models.SmallIntegerField(
                db_default=0,
                default=0,
                editable=False,
                help_text="Of an order of a chain: higher ones are claimed first.",
            ),
        ),
    ]
