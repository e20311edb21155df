"""Nodes and web processes of the version before go on while a rolling deploy has migrated the database already."""

from __future__ import annotations

from importlib import import_module

import pytest
from django.db import migrations
from django.db.models import NOT_PROVIDED


@pytest.mark.parametrize(
    "name",
    [
        "0016_recall_and_node_settings",
        "0017_rhythm",
        "0021_suspicion",
        "0022_config_hash",
        "0023_partition_pause",
        "0024_machine",
    ],
)
def test_new_columns_can_be_left_out_by_those_who_do_not_know_them(name: str) -> None:
    operations = import_module(f"timers.migrations.{name}").Migration.operations
    added = [each for each in operations if isinstance(each, migrations.AddField)]
    assert added
    missing = [
        f"{each.model_name}.{each.name}"
        for each in added
        if not each.field.null and each.field.db_default is NOT_PROVIDED
    ]
    assert not missing, "a row that is written without them is refused"
