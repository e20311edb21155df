# Several live nodes may have one name. Nodes of earlier versions, which run meanwhile, still refuse a name that is taken.

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("timers", "0035_order_subscription"),
    ]

    operations = [
        migrations.RemoveConstraint(model_name="node", name="timers_node_one_live_per_name"),
    ]
