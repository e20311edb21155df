"""Outages of all lengths under every policy, on real nodes."""

from __future__ import annotations

import pytest

from tests.cluster import outages
from tests.cluster.field import Field

pytestmark = [pytest.mark.torture, pytest.mark.django_db(transaction=True)]


@pytest.mark.parametrize("seconds", [3, 30, 61, 600])
def test_what_comes_due_while_no_node_is_there_is_missed(field: Field, seconds: int) -> None:
    outages.node_is_down(field, seconds)


@pytest.mark.parametrize("seconds", [3, 30, 61, 600])
@pytest.mark.parametrize("what", ["timer", "group", "cluster"])
def test_what_comes_due_in_a_pause_is_missed(field: Field, what: str, seconds: int) -> None:
    outages.is_paused(field, seconds, what)
