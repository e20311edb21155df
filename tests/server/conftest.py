from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection, connections


@pytest.fixture
def connected(transactional_db: None) -> Iterator[Callable[..., Any]]:
    """Opens connections as the service does, with further parameters for libpq."""
    opened: list[Any] = []

    def open_one(user: str = "", **options: Any) -> Any:
        own = connections["default"].copy()
        own.settings_dict = {**own.settings_dict, "OPTIONS": {**own.settings_dict["OPTIONS"], **options}}
        own.settings_dict["USER"] = user or own.settings_dict["USER"]
        opened.append(own)
        own.ensure_connection()
        return own

    yield open_one
    for each in opened:
        each.close()
    connection.close()
