"""Short and long outages under every policy, on real nodes; longer ones are in the torture profile."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.cluster import outages
from tests.cluster.field import Field, field_on, stop
from timerproject.embedded.server import EmbeddedServer

pytestmark = pytest.mark.cluster


@pytest.mark.django_db(transaction=True)
def test_what_comes_due_while_no_node_is_there_is_missed(field: Field) -> None:
    outages.node_is_down(field, 3)


@pytest.mark.django_db(transaction=True)
def test_what_comes_due_in_a_pause_is_missed(field: Field) -> None:
    outages.is_paused(field, 30, "timer")


def test_what_comes_due_while_the_database_is_down_is_missed(server: EmbeddedServer, tmp_path: Path) -> None:
    with field_on(server, tmp_path) as field:
        outages.database_is_down(field, lambda: stop(server, signal.SIGINT), server.start, 5)
