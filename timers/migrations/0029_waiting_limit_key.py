from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("timers", "0028_limit_keys_index"),
    ]

    operations = [
        migrations.AddField(
            model_name="waiting",
            name="limit_key",
            field=models.CharField(
                editable=False,
                help_text="The limit key of its timer, by which it is found; NULL: its group does not limit by key.",
                max_length=100,
                null=True,
            ),
        ),
    ]
