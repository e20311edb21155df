"""What nodes and web processes remember of the database server and of steps of its clock."""

from django.db import migrations, models

# Errors of what a managed server does not offer are empty columns: the caller then knows less, and says so.
SERVER = """
CREATE FUNCTION timers_server(
    OUT system_identifier text, OUT timeline bigint, OUT in_recovery boolean,
    OUT known_identifier text, OUT known_timeline bigint, OUT acceptance integer)
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    in_recovery := pg_is_in_recovery();
    BEGIN
        SELECT c.system_identifier::text INTO system_identifier FROM pg_control_system() c;
    EXCEPTION WHEN OTHERS THEN
        system_identifier := NULL;
    END;
    BEGIN
        -- The control file learns of a promotion with the next checkpoint only; the WAL at once.
        IF in_recovery THEN
            SELECT c.timeline_id INTO timeline FROM pg_control_checkpoint() c;
        ELSE
            timeline := ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint;
        END IF;
    EXCEPTION WHEN OTHERS THEN
        timeline := NULL;
    END;
    SELECT NULLIF(s.system_identifier, ''), s.timeline, s.acceptance
    INTO known_identifier, known_timeline, acceptance
    FROM timers_database_server s;
END
$$;
COMMENT ON FUNCTION timers_server() IS
    'The identity of this server and the one that the timer service remembers; read once on each new connection.';
"""

# A function, for its plan is kept: claims ask it with each look for work.
HELD = """
CREATE FUNCTION timers_is_held(at timestamptz) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN EXISTS (
        SELECT 1 FROM timers_clock_step s
        WHERE s.at <= timers_is_held.at AND timers_is_held.at < s.held_until
          AND (timers_is_held.at < s.distrusted_until OR EXISTS (
              SELECT 1 FROM timers_node n WHERE n.state IN ('starting', 'active', 'standby', 'draining')
                AND NOT (n.heartbeat_at > s.at AND n.heartbeat_at <= timers_is_held.at + INTERVAL '1 second'))));
END
$$;
COMMENT ON FUNCTION timers_is_held(timestamptz) IS
    'Whether a step of the database clock holds claims and rescue at an instant.';
"""


class Migration(migrations.Migration):
    dependencies = [
        ("timers", "0017_rhythm"),
    ]

    operations = [
        migrations.CreateModel(
            name="ClockStep",
            fields=[
                ("id", models.PositiveSmallIntegerField(default=1, editable=False, primary_key=True, serialize=False)),
                ("at", models.DateTimeField()),
                ("seconds", models.FloatField()),
                ("ahead", models.FloatField()),
                ("noticed_by", models.CharField(max_length=200)),
                ("distrusted_until", models.DateTimeField()),
                ("held_until", models.DateTimeField()),
            ],
            options={
                "db_table": "timers_clock_step",
                "constraints": [models.CheckConstraint(condition=models.Q(id=1), name="timers_clock_step_only")],
            },
        ),
        migrations.CreateModel(
            name="DatabaseServer",
            fields=[
                ("id", models.PositiveSmallIntegerField(default=1, editable=False, primary_key=True, serialize=False)),
                ("system_identifier", models.CharField(blank=True, default="", max_length=40)),
                ("timeline", models.BigIntegerField(null=True)),
                ("acceptance", models.PositiveIntegerField(default=0)),
                ("accepted_at", models.DateTimeField(null=True)),
                ("accepted_by", models.CharField(blank=True, default="", max_length=200)),
            ],
            options={
                "db_table": "timers_database_server",
                "constraints": [models.CheckConstraint(condition=models.Q(id=1), name="timers_database_server_only")],
            },
        ),
        migrations.RunSQL(SERVER, "DROP FUNCTION timers_server()"),
        migrations.RunSQL(HELD, "DROP FUNCTION timers_is_held(timestamptz)"),
    ]
