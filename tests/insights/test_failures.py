from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests import factories
from timers import clock
from timers.insights import failures as failures_module
from timers.insights.failures import failures
from timers.models import Timer

pytestmark = pytest.mark.django_db


@pytest.fixture
def here() -> Timer:
    return factories.timer(in_group=factories.group("here"))


@pytest.fixture
def there() -> Timer:
    return factories.timer(in_group=factories.group("there"))


def fail(of: Timer, fingerprint: str | None, number: int = 1, *, first: float = 100, **fields: Any) -> list[Any]:
    return [factories.waiting(of, ago=first + step, error_fingerprint=fingerprint, **fields) for step in range(number)]


def test_failed_executions_are_grouped_by_their_fault_the_most_frequent_first(here: Timer, there: Timer) -> None:
    now = clock.now()
    fail(here, "a" * 32, 2, changed_at=now - timedelta(hours=3))
    fail(there, "a" * 32, changed_at=now - timedelta(hours=2))
    (newest,) = fail(here, "a" * 32, first=50, changed_at=now - timedelta(hours=1), error_title="KeyError: 7\nmore")
    fail(there, "b" * 32, 2, first=70)
    factories.waiting(here, "ready", ago=1, error_fingerprint="a" * 32)

    found = failures()

    assert not found.more
    first, second = found.failures
    assert (first.fingerprint, first.count.value, first.groups) == ("a" * 32, 4, ("here", "there"))
    assert (first.title, first.example) == ("KeyError: 7", newest.pk)
    assert (first.oldest, first.newest) == (now - timedelta(hours=3), now - timedelta(hours=1))
    assert (second.count.value, second.groups) == (2, ("there",))


def test_who_sees_some_groups_sees_their_failures_alone(here: Timer, there: Timer) -> None:
    fail(here, "a" * 32, 3)
    fail(there, "a" * 32, 4)
    fail(there, "b" * 32, 5, first=50)
    fail(there, None, first=20)

    (only,) = failures({"here"}).failures

    assert (only.count.value, only.groups) == (3, ("here",))
    assert failures(set()).failures == []


def test_what_left_no_error_is_told_by_its_reason(here: Timer) -> None:
    fail(here, None, 2, error_title="", reason="discarded")

    (only,) = failures().failures

    assert (only.fingerprint, only.title, only.count.value) == ("", "discarded", 2)


def test_nothing_is_counted_or_looked_at_without_end(
    here: Timer, there: Timer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failures_module, "COUNTED", 3)
    fail(here, "a" * 32, 5)
    fail(there, "a" * 32, 2)
    for number in range(4):
        fail(here, f"{number}" * 32, first=10 + number)

    assert [str(one.count) for one in failures().failures] == ["5+", "1", "1", "1", "1"]
    assert (failures(limit=2).more, len(failures(limit=2).failures)) == (True, 2)
    monkeypatch.setattr(failures_module, "MOST_PAIRS", 3)
    assert failures().more


def test_it_is_few_statements_whatever_there_is(here: Timer, django_assert_num_queries: Any) -> None:
    for number in range(9):
        fail(here, f"{number}" * 32, 2, first=10 + 2 * number)
    with django_assert_num_queries(3):
        failures()
