"""Which server is refused, as one call of two pure functions after the other."""

from __future__ import annotations

from dataclasses import replace

import pytest

from timers.server.identity import Answered, Remembered, why_refused

PRIMARY = Answered("7001", 1, in_recovery=False, known_identifier="7001", known_timeline=1, acceptance=0)
PROMOTED = replace(PRIMARY, timeline=2)
OTHER = replace(PRIMARY, system_identifier="7002", known_identifier="7002")


def after(*servers: Answered) -> Remembered | None:
    """What a process remembers that has worked on these servers, one after the other."""
    remembered = None
    for server in servers:
        assert not why_refused(server, remembered)
        remembered = server.remembered(remembered)
    return remembered


def test_the_same_server_and_its_promoted_standby_are_taken() -> None:
    assert after(PRIMARY, PRIMARY, PROMOTED, replace(PROMOTED, timeline=5)) == Remembered("7001", 5)


def test_a_former_primary_is_refused_in_words() -> None:
    why = why_refused(PRIMARY, after(PRIMARY, PROMOTED))
    assert "it is on timeline 1, and the service has worked on timeline 2" in why
    assert "a failover has left behind" in why


def test_another_server_is_refused_in_words() -> None:
    why = why_refused(OTHER, after(PRIMARY))
    assert why == "its system identifier is 7002, and the service has worked on 7001"


@pytest.mark.parametrize(
    ("server", "words"),
    [
        (replace(PRIMARY, system_identifier="7002"), "system identifier is 7002"),
        (replace(PRIMARY, known_timeline=3), "timeline 1, and the service has worked on timeline 3"),
    ],
)
def test_a_process_that_remembers_nothing_goes_by_what_the_tables_remember(server: Answered, words: str) -> None:
    assert words in why_refused(server, None)


def test_what_a_person_accepted_is_taken_by_all_who_remember_the_one_before() -> None:
    accepted = replace(OTHER, acceptance=1)
    remembered = after(PRIMARY, PROMOTED, accepted)
    assert remembered == Remembered("7002", 1, 1)
    assert why_refused(PROMOTED, remembered) == "another server has been accepted in its place since"
    assert why_refused(replace(accepted, timeline=0), remembered)


def test_a_lower_timeline_that_a_person_accepted_is_taken() -> None:
    restored = replace(PRIMARY, acceptance=1)
    assert after(PROMOTED, restored) == Remembered("7001", 1, 1)


@pytest.mark.parametrize("field", ["system_identifier", "timeline"])
def test_what_a_managed_server_does_not_show_is_not_compared_and_not_forgotten(field: str) -> None:
    hidden = replace(PRIMARY, **{field: None})
    assert after(PRIMARY, hidden) == Remembered("7001", 1)
    assert why_refused(PRIMARY, after(hidden)) == ""


def test_a_standby_teaches_nothing_about_timelines_and_is_not_refused_for_its_own() -> None:
    standby = replace(PRIMARY, in_recovery=True)
    assert why_refused(standby, after(PRIMARY, PROMOTED)) == ""
    assert standby.remembered(None) == Remembered("7001", None)


def test_tables_that_remember_no_server_yet_say_nothing() -> None:
    assert why_refused(replace(PRIMARY, known_identifier=None, known_timeline=None, acceptance=None), None) == ""
