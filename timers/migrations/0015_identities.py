import django.contrib.postgres.fields
from django.db import migrations, models

# What is kept by the name of a group is kept by its identity too. Of entries and operations from before, those are the
# group's that are not older than it. A secret may name groups that are not made yet: 0 keeps their place.
FILL = """
ALTER TABLE timers_audit_entry DISABLE TRIGGER timers_audit_is_kept;
UPDATE timers_audit_entry e SET group_id = g.id
FROM timers_timer_group g WHERE g.name = e.subject_group AND g.created_at <= e.at;
ALTER TABLE timers_audit_entry ENABLE TRIGGER timers_audit_is_kept;
UPDATE timers_bulk_operation o SET group_ids = ARRAY(
    SELECT g.id FROM timers_timer_group g WHERE g.name = ANY(o.groups) AND g.created_at <= o.created_at)
WHERE o.groups IS NOT NULL;
UPDATE timers_secret s SET group_ids = ARRAY(
    SELECT COALESCE(g.id, 0)
    FROM unnest(s.groups) WITH ORDINALITY AS n(name, place) LEFT JOIN timers_timer_group g ON g.name = n.name
    ORDER BY n.place)
WHERE s.groups <> '{}';
"""


class Migration(migrations.Migration):
    dependencies = [
        ("timers", "0014_node_slots"),
    ]

    operations = [
        migrations.AddField(
            model_name="auditentry",
            name="group_id",
            field=models.BigIntegerField(
                help_text="The group's identity: a later group of its name has another one.", null=True
            ),
        ),
        migrations.AddField(
            model_name="bulkoperation",
            name="group_ids",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.BigIntegerField(),
                help_text="Their identities: a later group of such a name is not touched.",
                null=True,
                size=None,
            ),
        ),
        migrations.AddField(
            model_name="keptanswer",
            name="group",
            field=models.CharField(
                blank=True, db_default="", default="", help_text="The group that the address names.", max_length=200
            ),
        ),
        migrations.AddField(
            model_name="secret",
            name="group_ids",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.BigIntegerField(), blank=True, default=list, editable=False, size=None
            ),
        ),
        migrations.AddField(
            model_name="timer",
            name="owner",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                help_text="The program that declares the timer; empty: none, or one from before programs had names.",
                max_length=200,
            ),
        ),
        migrations.RunSQL(FILL, migrations.RunSQL.noop),
    ]
