"""Secrets, encrypted; and in the ledger, what an HTTP call sent and got."""

import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("timers", "0003_schedules_and_policies"),
    ]

    operations = [
        migrations.CreateModel(
            name="Secret",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=200, unique=True)),
                (
                    "kind",
                    models.CharField(
                        choices=[("text", "Text"), ("signing", "Signing"), ("certificates", "Certificates")],
                        default="text",
                        help_text="text: a password or token; signing: signs webhooks; certificates: whom to trust, as PEM.",
                        max_length=12,
                    ),
                ),
                ("description", models.TextField(blank=True, default="")),
                (
                    "groups",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=200),
                        blank=True,
                        default=list,
                        help_text="The groups whose timers may use it; empty: all.",
                        size=None,
                    ),
                ),
                (
                    "hosts",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=253),
                        blank=True,
                        default=list,
                        help_text="The hosts it may be sent to, as api.example.org or *.example.org; empty: all.",
                        size=None,
                    ),
                ),
                (
                    "key",
                    models.CharField(
                        editable=False, help_text="The name of the key that it is encrypted with.", max_length=32
                    ),
                ),
                ("value", models.BinaryField()),
                ("previous_key", models.CharField(blank=True, default="", editable=False, max_length=32)),
                ("previous_value", models.BinaryField(null=True)),
                (
                    "previous_until",
                    models.DateTimeField(
                        blank=True, editable=False, help_text="Until then the value before signs too.", null=True
                    ),
                ),
                ("version", models.PositiveIntegerField(default=1, editable=False)),
                ("created_at", models.DateTimeField()),
                ("created_by", models.CharField(blank=True, default="", max_length=200)),
                ("updated_at", models.DateTimeField()),
                ("updated_by", models.CharField(blank=True, default="", max_length=200)),
            ],
            options={
                "db_table": "timers_secret",
                "ordering": ("name",),
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("kind__in", ["text", "signing", "certificates"])), name="timers_secret_kind"
                    )
                ],
            },
        ),
        migrations.RunSQL(
            "ALTER TABLE timers_attempt ADD COLUMN exchange json", "ALTER TABLE timers_attempt DROP COLUMN exchange"
        ),
    ]
