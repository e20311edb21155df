"""What timerctl prints: tables for people, durations with their units."""

from __future__ import annotations

import pytest
from timers_client.ctl.output import show_one, show_rows


def test_a_table_shows_wide_letters_and_control_characters_in_their_columns(
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows = [{"a": "時計", "b": 1.25}, {"a": "x\x1b[2J", "b": "2027-02-26T15:00:27.006123+00:00"}, {"a": None, "b": ""}]
    show_rows(rows, ["a", "b"], as_json=False)
    assert capsys.readouterr().out.splitlines() == [
        "A         B",
        "時計      1.25",
        "x\\x1b[2J  2027-02-26T15:00:27.006Z",
        "-         -",
    ]


def test_a_line_is_cut_where_the_terminal_ends(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "10")
    show_rows([{"a": "時計時計時計"}], ["a"], as_json=False)
    assert capsys.readouterr().out.splitlines() == ["A", "時計時計…"]


def test_durations_are_shown_with_their_units(capsys: pytest.CaptureFixture[str]) -> None:
    retry = {"max_retries": 5, "min_backoff": 90, "jitter": 0.1, "delays": [1, 3600]}
    payload = {"delay": 5}
    show_one(
        {"period": 60, "remaining": -63971.207112, "jitter": 0.0, "max_lateness": None, "retry": retry,
         "overrides": {"retry": {"min_backoff": 0.25}}, "retention": 30, "priority": 3, "payload": payload},
        as_json=False,
    )  # fmt: skip
    assert dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()) == {
        "period": "1 m",
        "remaining": "-17 h 46 m 11.207112 s",
        "jitter": "0 s",
        "max_lateness": "-",
        "retry.max_retries": "5",
        "retry.min_backoff": "1 m 30 s",
        "retry.jitter": "0.1",
        "retry.delays": "1 s, 1 h",
        "overrides.retry.min_backoff": "0.25 s",
        "retention": "30 d",
        "priority": "3",
        "payload": '{"delay": 5}',
    }
