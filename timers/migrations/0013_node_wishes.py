from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("timers", "0012_audit_entry"),
    ]

    operations = [
        migrations.AddField(
            model_name="node",
            name="wish",
            field=models.CharField(
                blank=True,
                choices=[("", "None"), ("drain", "Drain"), ("stop", "Stop")],
                default="",
                help_text="What a person asks of this incarnation.",
                max_length=10,
            ),
        ),
        migrations.AddField(
            model_name="node",
            name="wish_reason",
            field=models.TextField(blank=True, default=""),
        ),
        migrations.AddField(
            model_name="node",
            name="wished_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name="node",
            name="wished_by",
            field=models.CharField(blank=True, default="", max_length=200),
        ),
        migrations.CreateModel(
            name="ClusterPause",
            fields=[
                ("id", models.PositiveSmallIntegerField(default=1, editable=False, primary_key=True, serialize=False)),
                ("at", models.DateTimeField()),
                ("by", models.CharField(blank=True, default="", max_length=200)),
                ("reason", models.TextField(blank=True, default="")),
            ],
            options={
                "db_table": "timers_cluster_pause",
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("id", 1)), name="timers_cluster_pause_only")
                ],
            },
        ),
    ]
