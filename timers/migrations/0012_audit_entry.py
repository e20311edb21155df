from django.db import migrations, models

import timers.models.fields

# For each statement, not each row: an UPDATE that meets nothing is refused as well. TRUNCATE is left to the rights of
# the database's roles, for test frameworks empty all tables by it.
KEPT = """
CREATE FUNCTION timers_audit_is_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND current_setting('timers.prunes_audit', true) = 'on' THEN
        RETURN NULL;
    END IF;
    RAISE EXCEPTION 'the audit trail is only added to' USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER timers_audit_is_kept BEFORE UPDATE OR DELETE ON timers_audit_entry
FOR EACH STATEMENT EXECUTE FUNCTION timers_audit_is_kept();
"""
NOT_KEPT = """
DROP TRIGGER timers_audit_is_kept ON timers_audit_entry;
DROP FUNCTION timers_audit_is_kept();
"""


class Migration(migrations.Migration):
    dependencies = [
        ("timers", "0011_failures_by_group"),
    ]

    operations = [
        migrations.CreateModel(
            name="AuditEntry",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("at", models.DateTimeField(help_text="By the database's clock.")),
                (
                    "actor",
                    models.CharField(blank=True, help_text="Who asked, as records call them.", max_length=200),
                ),
                ("key_id", models.BigIntegerField(help_text="The application key that was used.", null=True)),
                (
                    "address",
                    models.CharField(blank=True, help_text="Where the request came from.", max_length=45),
                ),
                (
                    "request_id",
                    models.CharField(blank=True, help_text="The request's id in answers and logs.", max_length=64),
                ),
                ("verb", models.CharField(help_text="What was done, such as timer.pause.", max_length=40)),
                ("subject_kind", models.CharField(max_length=20)),
                ("subject_group", models.CharField(blank=True, max_length=200)),
                ("subject_name", models.CharField(blank=True, max_length=200)),
                (
                    "subject_id",
                    models.CharField(blank=True, help_text="Tells it from others of the same name.", max_length=64),
                ),
                ("before", timers.models.fields.ExactJSONField(help_text="What changed, as it was.", null=True)),
                (
                    "after",
                    timers.models.fields.ExactJSONField(
                        help_text="What changed, as it is now, and what came of it.", null=True
                    ),
                ),
            ],
            options={
                "db_table": "timers_audit_entry",
                "verbose_name_plural": "audit entries",
                "indexes": [
                    models.Index(fields=["at", "id"], name="timers_audit_entry_at"),
                    models.Index(fields=["actor", "at", "id"], name="timers_audit_entry_actor"),
                    models.Index(
                        fields=["subject_group", "subject_name", "at", "id"], name="timers_audit_entry_subject"
                    ),
                ],
            },
        ),
        migrations.RunSQL(KEPT, NOT_KEPT),
    ]
