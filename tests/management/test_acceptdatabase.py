from __future__ import annotations

from collections.abc import Iterator
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import OperationalError, connection, connections

from timers.models import ClusterEvent, DatabaseServer
from timers.server import memory
from timers.server.identity import Remembered
from timers.server.prepare import any_server

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _copy() -> Iterator[None]:
    """The tables were restored onto this server from another one."""
    DatabaseServer.objects.create(system_identifier="42", timeline=7)
    connection.close()
    yield
    memory.forget()
    with any_server():
        connection.close()
        DatabaseServer.objects.all().delete()


def accepted(*words: str) -> str:
    out = StringIO()
    call_command("acceptdatabase", *words, stdout=out)
    connection.close()
    return out.getvalue()


def test_without_yes_it_says_what_it_would_accept_and_changes_nothing() -> None:
    said = accepted()
    assert "Its tables:     system identifier 42, timeline 7" in said
    assert "It is refused: its system identifier is" in said
    with pytest.raises(OperationalError, match="worked on 42"):
        connection.ensure_connection()


def test_with_yes_the_server_is_taken_by_all_from_then_on() -> None:
    address = memory.address_of(connections["default"].settings_dict)
    memory.remember(address, Remembered("42", 7))
    assert "Accepted" in accepted("--yes")
    connection.ensure_connection()
    row = DatabaseServer.objects.get()
    assert (row.acceptance, row.timeline) == (1, 1)
    assert row.accepted_at is not None
    assert ClusterEvent.objects.get(kind="server accepted").detail.startswith(f"server {row.system_identifier}")
    # A process that remembers the server before learns anew.
    memory.remember(address, Remembered("42", 7))
    connection.close()
    connection.ensure_connection()
    assert memory.recall(address) == Remembered(row.system_identifier, 1, 1)
