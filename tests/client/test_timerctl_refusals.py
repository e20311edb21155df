"""timerctl tells refusals in its own words."""

from __future__ import annotations

from typing import Any

import pytest
from timers_client import TimersClient
from timers_client.ctl.arguments import parser
from timers_client.ctl.refusal import refusal
from timers_client.errors import NameTaken


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["schedule", "fixed-rate", "g", "a", "--period", "-1"], "  --period: must be"),
        (["schedule", "once", "g", "a", "--after", "1", "--start-at", "soon"], "  --start-at: must be"),
        (["schedule", "once", "g", "a", "--after", "1", "--set", "priority=true"], "  priority: must be"),
        (["schedule", "once", "g", "taken", "--after", "1"], "use --on-conflict replace"),
        (["retry", "--group", "g", "--failed-before", "soon"], "  --failed-before: must be"),
        (["groups", "create", "h", "--action", '{"kind": "http", "url": 5}'], "  --action url: must be"),
        (["groups", "create", "h", "--retry", '{"min_backoff": -1}'], "  --retry min_backoff: must be"),
        (["subscriptions", "create", "g", "s"], "  --action: "),
        (["subscriptions", "create", "g", "s", "--action", '{"kind": "pull"}', "--mode", "x"], "  --mode: must be"),
    ],
)
def test_what_was_given_by_an_option_is_refused_by_its_name(
    ctl: Any, client: TimersClient, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    client.schedule_once("g", "taken", after=600)
    assert ctl(*words) == 1
    assert said in capsys.readouterr().err


def test_dots_in_the_place_of_a_timer_never_reach_its_group(
    ctl: Any, client: TimersClient, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ctl("pause", "g", "..") == 1
    assert (
        capsys.readouterr().err
        == 'timerctl: refused (invalid): Not sent\n  name: ".." is no name: no address can hold it\n'
    )
    assert client.get_group("g")["state"] == "active"


def test_words_that_are_no_option_of_the_command_are_told_as_they_came() -> None:
    problem = {"field": "name", "message": 'is taken; use on_conflict="replace"'}
    error = NameTaken(409, {"code": "name_taken", "title": "Conflict", "errors": [problem]})
    resume = parser().below()["resume"].options()
    assert refusal(error, resume) == 'refused (name_taken): Conflict\n  name: is taken; use on_conflict="replace"'
