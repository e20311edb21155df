"""The examples of the page on exclusion calendars run, and do what it says."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.docs import snippets
from timers.handlers import handler
from timers.models import ExclusionCalendar, Timer
from timers.testing import VirtualTime

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _() -> Iterator[None]:
    """The clock stands still, and a handler is there for the groups of the examples."""
    with snippets.handlers_of_its_own():
        handler("payments.send")(lambda fire: None)
        VirtualTime()
        yield


def test_every_example_of_the_calendars_does_what_it_says() -> None:
    names = snippets.run("docs/calendars.md")

    assert ExclusionCalendar.objects.get().name == "bank-holidays"
    assert Timer.objects.count() == 2
    assert len(names["planned"].fires) == 2
