"""Migrations after the last release are additive: nodes of that release work on while they are applied."""

from __future__ import annotations

import pytest
from django.contrib.postgres.operations import AddIndexConcurrently
from django.core.management import call_command
from django.db import connection, models
from django.db.migrations import operations
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

from tests.support.additive import RELEASED, REVIEWED, faults_after, why_not_additive

CHECK = models.CheckConstraint(condition=models.Q(x__gt=0), name="x")
FINE: list[Operation] = [
    operations.CreateModel("New", [("id", models.BigAutoField(primary_key=True))]),
    operations.AddField("timer", "x", models.IntegerField(null=True)),
    operations.AddField("timer", "x", models.IntegerField(db_default=1)),
    AddIndexConcurrently("timer", models.Index(fields=["name"], name="x")),
    operations.AlterField("timer", "name", models.CharField(max_length=10_000, help_text="other words")),
    operations.SeparateDatabaseAndState([], [operations.RemoveField("timer", "name")]),
]
BROKEN: list[Operation] = [
    operations.AddIndex("timer", models.Index(fields=["name"], name="x")),
    operations.AddField("timer", "x", models.IntegerField()),
    operations.AddField("timer", "x", models.IntegerField(default=1)),
    operations.RemoveField("timer", "name"),
    operations.RenameField("timer", "name", "title"),
    operations.RenameModel("timer", "alarm"),
    operations.DeleteModel("timer"),
    operations.AlterModelTable("timer", "alarms"),
    operations.AlterField("timer", "name", models.IntegerField()),
    operations.AlterField("timer", "name", models.CharField(max_length=3)),
    operations.AddConstraint("timer", CHECK),
    operations.RunSQL("DROP TABLE timers_timer"),
    operations.RunPython(operations.RunPython.noop),
    operations.SeparateDatabaseAndState([operations.DeleteModel("timer")]),
]


@pytest.fixture
def state(db: None) -> ProjectState:
    loader = MigrationLoader(connection)
    return loader.project_state(("timers", RELEASED))


@pytest.mark.parametrize("operation", FINE, ids=lambda each: each.describe())
def test_nodes_of_the_version_before_work_with_what_is_added(operation: Operation, state: ProjectState) -> None:
    assert why_not_additive(operation, "timers", state) == ""


@pytest.mark.parametrize("operation", BROKEN, ids=lambda each: each.describe())
def test_what_nodes_of_the_version_before_may_not_work_with_is_found(operation: Operation, state: ProjectState) -> None:
    assert why_not_additive(operation, "timers", state)


@pytest.mark.django_db
def test_migrations_since_the_last_release_are_additive_or_reviewed() -> None:
    assert list(faults_after(RELEASED)) == []
    assert all(len(why) > 20 for why in REVIEWED.values())


@pytest.mark.django_db
def test_migrations_that_are_not_additive_are_found_among_the_first_ones() -> None:
    found = list(faults_after("0001_initial"))
    assert any(fault.startswith("0006_bulk_operation: ") for fault in found)
    assert not [fault for fault in found if fault.startswith("0017_rhythm: ")]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("name", "table", "before", "migration", "columns"),
    [
        ("timers_timer_due_of_key", "timers_timer", "0027", "0028", 5),
        ("timers_waiting_ready_of_key", "timers_waiting", "0029", "0030", 4),
    ],
)
def test_migration_to_an_index_of_keys_replaces_one_whose_build_was_interrupted(
    name: str, table: str, before: str, migration: str, columns: int
) -> None:
    def index() -> tuple[bool, int]:
        with connection.cursor() as cursor:
            cursor.execute("SELECT indisvalid, indnatts FROM pg_index WHERE indexrelid = %s::regclass", (name,))
            return cursor.fetchone()

    was = index()
    call_command("migrate", "timers", before, "--fake", verbosity=0)
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"DROP INDEX {name}")
            cursor.execute(f"CREATE INDEX {name} ON {table} (id)")
    finally:
        call_command("migrate", "timers", migration, verbosity=0)
        call_command("migrate", "timers", "--fake", verbosity=0)
    assert index() == was == (True, columns)
