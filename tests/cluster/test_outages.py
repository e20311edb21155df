"""Short and long outages under every policy, on real nodes; longer ones are in the torture profile."""

from __future__ import annotations

import pytest

from tests.cluster import outages
from tests.cluster.field import Field

pytestmark = [pytest.mark.cluster, pytest.mark.django_db(transaction=True)]


def test_what_comes_due_while_no_node_is_there_is_missed(field: Field) -> None:
    outages.node_is_down(field, 3)


def test_what_comes_due_in_a_pause_is_missed(field: Field) -> None:
    outages.is_paused(field, 30, "timer")
