"""Additive migrations: under one that is, nodes of the last release work on while it is applied and afterwards.

No release has been made yet: until 0.1.0 is out, RELEASED names the schema of the nodes that run today. Whoever makes a
release puts its last migration here.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from typing import Final

from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import connection, models
from django.db.migrations import operations
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

RELEASED: Final = "0020_shards"
REVIEWED: Final[dict[str, str]] = {
    "0023_partition_pause": "The pause of the whole cluster keeps its id 1 and gets an empty partition, also where an"
    " older version writes it; older nodes take the pause of one partition for that of all. The table is tiny.",
    "0025_max_concurrency": "The constraint is on a new column that older versions leave NULL, which it allows.",
    "0027_limit_keys": "The constraint is on a new column that older versions leave NULL, which it allows.",
    "0028_limit_keys_index": "The SQL drops an index that no older version uses, where its build was interrupted.",
    "0030_waiting_limit_key_index": "The SQL drops an index that no older version uses, where its build was"
    " interrupted.",
    "0031_chains": "A sequence, a column that older versions leave NULL, and constraints that allow one word more."
    " The index of waiting rows holds none of them yet: one pass over the table builds it. Older nodes start no orders:"
    " they do not know the action, and its timers fail there with the reason.",
    "0032_order_priorities": "A column of the ledger that older versions leave NULL.",
    "0033_order_priorities_index": "The SQL drops indexes that no older version uses, where their build was"
    " interrupted.",
    "0034_groups_with_priorities": "It marks groups, in a column that older versions write in the same way.",
}
"""Migration -> why nodes of the last release work with its SQL, its functions and its constraints."""

_HARMLESS: Final = (
    operations.CreateModel,
    AddIndexConcurrently,
    operations.RemoveIndex,
    RemoveIndexConcurrently,
    operations.RenameIndex,
    operations.RemoveConstraint,
    operations.AlterModelOptions,
    operations.AlterModelManagers,
)
_TO_BE_REVIEWED: Final = (operations.RunSQL, operations.RunPython, operations.AddConstraint)


def why_not_additive(operation: Operation, app: str, state: ProjectState) -> str:
    """Why nodes of the version before would not work with an operation; empty: they do.

    `state`: the models before it. What runs SQL or adds a constraint cannot be judged here, and is named as well.
    """
    if isinstance(operation, _HARMLESS):
        return ""
    if isinstance(operation, operations.SeparateDatabaseAndState):
        reasons = (why_not_additive(each, app, state) for each in operation.database_operations)
        return "; ".join(filter(None, reasons))
    if isinstance(operation, operations.AddIndex):
        return f"{operation.describe()}: writes wait while it is built; use AddIndexConcurrently"
    if isinstance(operation, operations.AddField):
        field = operation.field
        is_filled = field.null or field.has_db_default() or field.many_to_many
        return "" if is_filled else f"{operation.model_name}.{operation.name} is NOT NULL without db_default"
    if isinstance(operation, operations.AlterField):
        return _why_not_widened(operation, app, state)
    if isinstance(operation, _TO_BE_REVIEWED):
        return f"{operation.describe()}: must be reviewed"
    return operation.describe()


def _why_not_widened(operation: operations.AlterField, app: str, state: ProjectState) -> str:
    later = state.clone()
    operation.state_forwards(app, later)
    before, after = (
        copy(each.apps.get_model(app, operation.model_name)._meta.get_field(operation.name)) for each in (state, later)
    )
    if after.null:
        before.null = True
    lengths = before.max_length, after.max_length
    if isinstance(before, models.CharField) and None not in lengths and lengths[0] <= lengths[1]:
        before.max_length = after.max_length
    with connection.schema_editor(collect_sql=True) as editor:
        is_altered = editor._field_should_be_altered(before, after)
    return f"{operation.describe()}: its column changes" if is_altered else ""


def faults_after(released: str, app: str = "timers") -> Iterator[str]:
    """What is not additive in the migrations after the given one, without those that have been reviewed."""
    loader = MigrationLoader(connection)
    plan = [key for key in loader.graph.forwards_plan(loader.graph.leaf_nodes(app)[0]) if key[0] == app]
    after = plan[plan.index((app, released)) + 1 :]
    for key in after:
        state = loader.project_state(key, at_end=False)
        for operation in loader.graph.nodes[key].operations:
            reason = why_not_additive(operation, app, state)
            if reason and key[1] not in REVIEWED:
                yield f"{key[1]}: {reason}"
            operation.state_forwards(app, state)
