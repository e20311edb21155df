"""timerctl tells refusals in its own words."""

from __future__ import annotations

from typing import Any

import pytest
from timers_client import TimersClient
from timers_client.ctl.arguments import parser
from timers_client.ctl.main import main
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


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("consume g --limit 0", "--limit: must be a whole number of at least 1"),
        ("consume g --limit -1", "--limit: must be a whole number of at least 1"),
        ("consume g --limit 1.5", "--limit: must be a whole number of at least 1"),
        ("consume g --exec true --timeout -1", "--timeout: must be a number of seconds of at least 0"),
        ("tail --depth 0", "--depth: must be a whole number of at least 1"),
        ("list g --deadline -1", "--deadline: must be a number of seconds of at least 0"),
        ("list g --deadline nan", "--deadline: must be a number of seconds of at least 0"),
        ("--deadline soon list g", "--deadline: must be a number of seconds of at least 0"),
    ],
)
def test_a_bound_that_bounds_nothing_is_a_mistake_in_the_command(
    words: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words.split())
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_too_many_requests_are_told_with_the_wait_that_was_asked_for(
    ctl: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = 429, b'{"code": "rate_limited", "detail": "Too many requests."}', {"Retry-After": "20"}
    monkeypatch.setattr(TimersClient, "_sent", lambda *_: answer)
    assert ctl("list", "g") == 1
    said = capsys.readouterr().err
    assert said.startswith("timerctl: refused (rate_limited): Too many requests.\n")
    assert "the service asks to wait 20 s (Retry-After)" in said
    assert "given up, as all of it may take 15 s; --deadline gives it longer" in said
