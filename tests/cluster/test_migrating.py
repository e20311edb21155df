"""A migration of the kinds that are additive is applied, and taken back, while nodes fire."""

from __future__ import annotations

import pytest

from tests.cluster.field import Field, eventually

pytestmark = [pytest.mark.cluster, pytest.mark.django_db(transaction=True)]

STALL = 2.0
"""Seconds that the migration may hold up fires."""

_STREAM = """
from timers.scheduling import ensure_group, schedule_many
ensure_group("work")
schedule_many([dict(kind="once", group="work", name=f"n-{n}", after=1 + n * 0.02, handler="cluster.count")
               for n in range(900)])
"""

_MIGRATE = """
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import connection, models
from django.db.migrations import operations
from django.db.migrations.loader import MigrationLoader
loader = MigrationLoader(connection)
state = loader.project_state(loader.graph.leaf_nodes("timers"))
hot = ["timergroup", "timer", "claim", "waiting", "attempt", "node"]
steps = [operations.CreateModel("Later", [("id", models.BigAutoField(primary_key=True))])]
for model in hot:
    steps.append(operations.AddField(model, "later", models.IntegerField(null=True)))
    steps.append(operations.AddField(model, "later_filled", models.IntegerField(db_default=7)))
steps.append(AddIndexConcurrently("timer", models.Index(fields=["later"], name="later_index")))
def apply(step, before, after, back=False):
    with connection.schema_editor(atomic=getattr(step, "atomic", True)) as editor:
        if back:
            step.database_backwards("timers", editor, after, before)
        else:
            step.database_forwards("timers", editor, before, after)
states = [state]
for step in steps:
    states.append(states[-1].clone())
    step.state_forwards("timers", states[-1])
for number, step in enumerate(steps):
    apply(step, states[number], states[number + 1])
for number, step in reversed(list(enumerate(steps))):
    apply(step, states[number], states[number + 1], back=True)
"""


def test_nodes_fire_on_while_tables_get_columns_and_indexes_and_lose_them_again(field: Field) -> None:
    for name in "ab":
        field.start(name, "--workers", "1")
    field.run(_STREAM)
    eventually(lambda: field.succeeded() > 50)
    field.run(_MIGRATE)
    done = field.succeeded()
    assert done < 900, "the migration ended while nodes were firing"
    field.wait_until_succeeded(900)
    late = field.rows(
        "SELECT extract(epoch FROM started_at - scheduled_for)::float8 FROM timers_attempt ORDER BY 1 DESC"
    )
    assert late[0][0] <= STALL
    for name in "ab":
        assert "Traceback" not in field.log(name)
        assert " ERROR " not in field.log(name)
    field.check_ledger(900)
