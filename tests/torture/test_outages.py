"""Outages of all lengths under every policy, on real nodes."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.cluster import outages
from tests.cluster.field import Field, field_on, stop
from tests.support.profile import IS_LONG
from timerproject.embedded.server import EmbeddedServer

pytestmark = [pytest.mark.torture, pytest.mark.django_db(transaction=True)]

SECONDS = [3, 30, 61, 600] if IS_LONG else [61]
PAUSED = ["timer", "group", "cluster"] if IS_LONG else ["group", "cluster"]


@pytest.mark.parametrize("seconds", SECONDS)
def test_what_comes_due_while_no_node_is_there_is_missed(field: Field, seconds: int) -> None:
    outages.node_is_down(field, seconds)


@pytest.mark.parametrize("seconds", SECONDS)
@pytest.mark.parametrize("what", PAUSED)
def test_what_comes_due_in_a_pause_is_missed(field: Field, what: str, seconds: int) -> None:
    outages.is_paused(field, seconds, what)


def test_what_comes_due_while_the_database_is_down_is_missed(server: EmbeddedServer, tmp_path: Path) -> None:
    with field_on(server, tmp_path) as field:
        outages.database_is_down(field, lambda: stop(server, signal.SIGINT), server.start, 5)
