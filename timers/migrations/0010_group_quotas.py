from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("timers", "0009_subscription"),
    ]

    operations = [
        migrations.AddField(
            model_name="timergroup",
            name="max_payload_bytes",
            field=models.PositiveIntegerField(
                blank=True,
                help_text="The most bytes of a timer's payload; empty: what any payload may have.",
                null=True,
            ),
        ),
        migrations.AddField(
            model_name="timergroup",
            name="max_timers",
            field=models.PositiveIntegerField(
                blank=True,
                help_text="The most active and paused timers that the group may have; empty: no limit.",
                null=True,
            ),
        ),
        migrations.AddField(
            model_name="timergroup",
            name="min_interval",
            field=models.FloatField(
                blank=True, help_text="The fewest seconds between two fires of a timer; empty: no limit.", null=True
            ),
        ),
        migrations.AddField(
            model_name="timergroup",
            name="spare_timers",
            field=models.PositiveIntegerField(
                default=0,
                editable=False,
                help_text="Timers that may be created before the living ones are counted again.",
            ),
        ),
    ]
