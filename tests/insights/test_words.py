from __future__ import annotations

import math
import shlex

import pytest

from timers.insights.words import command_line, milliseconds, percent, plural, span


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0.0 s"),
        (0.44, "0.4 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 m"),
        (190, "3 m 10 s"),
        (3599.6, "1 h"),
        (7500, "2 h 5 m"),
        (86_400, "1 d"),
        (273_600, "3 d 4 h"),
        (-42, "-42 s"),
    ],
)
def test_a_length_of_time_is_said_with_two_figures_at_most(seconds: float, words: str) -> None:
    assert span(seconds) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.84, "0.8 ms"),
        (84, "84 ms"),
        (-3.2, "-3.2 ms"),
        (1240, "1.24 s"),
        (190_000, "3 m 10 s"),
        (math.inf, "over 60 s"),
    ],
)
def test_milliseconds_grow_into_larger_units(value: float, words: str) -> None:
    assert milliseconds(value) == words


def test_what_is_not_quite_all_never_reads_100_percent() -> None:
    assert percent(0.999999) == "99.99 %"
    assert percent(1) == "100 %"
    assert percent(0.5) == "50.0 %"


def test_a_number_agrees_with_its_noun() -> None:
    assert plural(1, "try", "tries") == "1 try"
    assert plural(1204, "node") == "1,204 nodes"


def test_command_to_copy_quotes_names_for_a_shell() -> None:
    said = command_line("timercluster", "resume", "--partition", "a b;$(c)")
    assert said == "python manage.py timercluster resume --partition 'a b;$(c)'"
    assert shlex.split(said)[-1] == "a b;$(c)"
