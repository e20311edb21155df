"""A real worker whose handlers leave state behind: the guilty fail, and no other loses a write or runs in it."""

from __future__ import annotations

import pytest

from tests.cluster import scenarios
from tests.cluster.field import Field

pytestmark = [pytest.mark.cluster, pytest.mark.django_db(transaction=True)]


def test_handlers_that_leave_state_behind_fail_and_others_lose_nothing(field: Field) -> None:
    scenarios.spoiled(field, 300, ("autocommit", "setting", "directory"))
