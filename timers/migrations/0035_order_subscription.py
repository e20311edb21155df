# The subscription that began an order of a chain, for the handlers of its steps.

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("timers", "0034_groups_with_priorities"),
    ]

    operations = [
        migrations.AddField(
            model_name="chainorder",
            name="subscription",
            field=models.PositiveSmallIntegerField(
                editable=False, help_text="The ordinal of the subscription that began it; null: none.", null=True
            ),
        ),
    ]
