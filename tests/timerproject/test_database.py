"""Several hosts in the address of the database."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import OperationalError, connections

from timerproject.database import database
from timerproject.embedded.folder import Folder
from timerproject.postgresql import base
from timers.server.identity import ServerRefused


def options(url: str, tmp_path: Path) -> dict[str, Any]:
    found: dict[str, Any] = database(url, Folder.at(tmp_path))["OPTIONS"]
    return found


def test_of_several_hosts_one_that_can_be_written_to_is_wanted(tmp_path: Path) -> None:
    assert options("postgresql://u@a,b:5433/n", tmp_path)["target_session_attrs"] == "read-write"
    assert "target_session_attrs" not in options("postgresql://u@a/n", tmp_path)


def test_what_the_address_says_itself_holds(tmp_path: Path) -> None:
    assert options("postgresql://u@a,b/n?target_session_attrs=any", tmp_path)["target_session_attrs"] == "any"


@pytest.fixture
def connecting(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Connects where each host does what the test says; returns the hosts that were asked for."""

    def connect(host: str, port: str, **answers: Exception) -> list[str]:
        asked: list[str] = []

        def plain(self: Any) -> None:
            params = self.get_connection_params()
            asked.append(f"{params['host']}|{params.get('port', '')}")
            for each in params["host"].split(","):
                if each in answers:
                    raise answers[each]
                return

        monkeypatch.setattr(base.base.DatabaseWrapper, "connect", plain)
        own: Any = connections["default"].copy()
        own.settings_dict = {**own.settings_dict, "HOST": host, "PORT": port}
        own.connect()
        return asked

    return connect


def test_a_host_whose_server_is_refused_is_left_out(connecting: Callable[..., list[str]]) -> None:
    refused = ServerRefused("an old one", "a", "5432")
    assert connecting("a,b", "5432,5433", a=refused) == ["a,b|5432,5433", "b|5433"]
    assert connecting("a,b", "5432", a=refused) == ["a,b|5432", "b|5432"]


def test_where_no_other_host_serves_the_refusal_is_what_is_said(connecting: Callable[..., list[str]]) -> None:
    refused = ServerRefused("an old one", "a", "5432")
    with pytest.raises(ServerRefused, match="an old one"):
        connecting("a,b", "", a=refused, b=psycopg.OperationalError("is away"))
    with pytest.raises(ServerRefused, match="another one"):
        connecting("a,b", "", a=refused, b=ServerRefused("another one", "b", "5432"))
    with pytest.raises(ServerRefused, match="an old one"):
        connecting("a", "", a=refused)


def test_a_host_that_is_away_is_not_left_out(connecting: Callable[..., list[str]]) -> None:
    with pytest.raises((OperationalError, psycopg.OperationalError), match="is away"):
        connecting("a", "", a=psycopg.OperationalError("is away"))
