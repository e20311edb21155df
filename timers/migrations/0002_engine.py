"""What the ORM cannot say: the clock, the ledger's partitions, and how hot tables are stored."""

from __future__ import annotations

from django.db import migrations

CLOCK = """
CREATE FUNCTION timers_now() RETURNS timestamptz LANGUAGE sql VOLATILE PARALLEL SAFE AS $$
    SELECT COALESCE(NULLIF(current_setting('timers.virtual_now', true), '')::timestamptz, clock_timestamp())
$$;
COMMENT ON FUNCTION timers_now() IS
    'The only clock of the timer service; the session setting timers.virtual_now replaces it in tests and simulations.';
"""

# 1,000 tries and a final row of one execution lie side by side, because the try's number ends the id.
LEDGER = """
CREATE TABLE timers_attempt (
    id uuid NOT NULL PRIMARY KEY,
    group_id bigint NOT NULL,
    timer_id bigint NOT NULL,
    name varchar(200) NOT NULL,
    scheduled_for timestamptz NOT NULL,
    attempt smallint NOT NULL,
    outcome varchar(10) NOT NULL CHECK (outcome IN ('succeeded', 'failed', 'cancelled', 'skipped',
                                                    'error', 'timeout', 'lost', 'discarded', 'snoozed')),
    reason text,
    origin varchar(10) NOT NULL,
    node varchar(200),
    worker smallint,
    fence bigint,
    claimed_at timestamptz,
    started_at timestamptz,
    finished_at timestamptz NOT NULL,
    missed_count integer NOT NULL DEFAULT 0,
    result json,
    error_title text,
    error_detail text,
    error_fingerprint varchar(32),
    log text
) PARTITION BY RANGE (id);
CREATE TABLE timers_attempt_default PARTITION OF timers_attempt DEFAULT;

CREATE INDEX timers_attempt_timer ON timers_attempt (timer_id, id);
CREATE INDEX timers_attempt_fingerprint ON timers_attempt (error_fingerprint, id) WHERE error_fingerprint IS NOT NULL;
"""

# Every fire updates the timer: room for the new version on the same page, and a vacuum that comes by rows.
STORAGE = """
ALTER TABLE timers_timer SET (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.01,
                              autovacuum_vacuum_threshold = 2000, autovacuum_analyze_scale_factor = 0.05);
ALTER TABLE timers_claim SET (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);
ALTER TABLE timers_waiting SET (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000);
ALTER TABLE timers_node SET (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 100);
"""

INSTANTS = """
ALTER TABLE timers_timer ADD CONSTRAINT timers_timer_next_is_readable
    CHECK (next_fire_at >= '1970-01-01Z' AND next_fire_at < '10000-01-01Z'
           AND start_at >= '0001-01-02Z' AND start_at < '10000-01-01Z'
           AND end_at >= '0001-01-02Z' AND end_at < '10000-01-01Z');
ALTER TABLE timers_waiting ADD CONSTRAINT timers_waiting_available_is_readable
    CHECK (available_at >= '1970-01-01Z' AND available_at < '10000-01-01Z');
"""


class Migration(migrations.Migration):
    dependencies = [("timers", "0001_initial")]

    operations = [
        migrations.RunSQL(CLOCK, "DROP FUNCTION timers_now()"),
        migrations.RunSQL(LEDGER, "DROP TABLE timers_attempt"),
        migrations.RunSQL(STORAGE, migrations.RunSQL.noop),
        migrations.RunSQL(
            INSTANTS,
            "ALTER TABLE timers_timer DROP CONSTRAINT timers_timer_next_is_readable;"
            "ALTER TABLE timers_waiting DROP CONSTRAINT timers_waiting_available_is_readable",
        ),
    ]
