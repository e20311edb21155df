"""Fixtures: a node that is driven step by step, its clock, its handlers, and groups."""

from __future__ import annotations

from tests.support.stepping import (
    _without_the_rows_of_others,
    committed,
    group,
    handlers,
    node,
    orders,
    time,
)

__all__ = ["_without_the_rows_of_others", "committed", "group", "handlers", "node", "orders", "time"]
