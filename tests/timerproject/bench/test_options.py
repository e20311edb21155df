"""The options of timerbench."""

from __future__ import annotations

import re

import pytest
from django.core.management import CommandError, call_command


@pytest.mark.parametrize("given", ["0", "-1", "many", "1.5"])
@pytest.mark.parametrize("option", ["--nodes", "--workers", "--runs", "--executions"])
def test_a_drain_of_fewer_than_one_is_refused(option: str, given: str) -> None:
    words = re.escape(f"argument {option}: must be a whole number of at least 1, not {given}")
    with pytest.raises(CommandError, match=words):
        call_command("timerbench", "drain", f"{option}={given}")


def test_the_help_names_what_a_drain_can_be_given(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        call_command("timerbench", "drain", "--help")
    shown = " ".join(capsys.readouterr().out.split())
    assert "--nodes NODES Nodes that run at once on the database (default 1)." in shown
    assert "--workers WORKERS Worker processes of a node (default 1)." in shown
