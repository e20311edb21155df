"""How PostgreSQL carried out a statement: what it read by which index, and how much of it for nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from django.db import connection


class Read(NamedTuple):
    """One walk over a table or an index of it."""

    kind: str
    table: str
    index: str
    rows: int
    """Those that were thrown away again are among them."""


def reads(statement: str) -> list[Read]:
    """Carry out a statement and tell what it read."""
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {statement}")
        ((told,),) = cursor.fetchall()
    return [
        Read(
            node["Node Type"],
            node["Relation Name"],
            node.get("Index Name", ""),
            round((node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]),
        )
        for node in _nodes(told[0]["Plan"])
        if "Relation Name" in node
    ]


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for part in node.get("Plans", ()):
        yield from _nodes(part)
