# Chains that are declared in a file: where, by which program, and the version that was declared last.

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("timers", "0031_chains"),
    ]

    operations = [
        migrations.AddField(
            model_name="chain",
            name="declared_version",
            field=models.PositiveIntegerField(
                editable=False,
                help_text="The version that was declared last; empty: it is not declared any more.",
                null=True,
            ),
        ),
        migrations.AddField(
            model_name="chain",
            name="owner",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                editable=False,
                help_text="The program that declares the chain; empty: none.",
                max_length=200,
            ),
        ),
        migrations.AddField(
            model_name="chain",
            name="source",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                editable=False,
                help_text="The file that declares the chain; empty: none.",
                max_length=200,
            ),
        ),
    ]
