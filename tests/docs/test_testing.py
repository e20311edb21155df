"""The tests that the page on testing shows pass, each on rows of its own."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.docs import snippets

PAGE = "docs/testing.md"
SHOWN = re.findall(r"^def (test_\w+)\(", snippets.page(PAGE), re.MULTILINE)


@pytest.fixture
def names() -> Iterator[dict[str, Any]]:
    """What the page's blocks define; they are run before any clock is stopped."""
    with snippets.handlers_of_its_own():
        yield snippets.run(PAGE)


def test_the_page_shows_tests() -> None:
    assert len(SHOWN) >= 5


@pytest.mark.django_db
@pytest.mark.parametrize("name", SHOWN)
def test_a_test_that_the_page_shows_passes(name: str, names: dict[str, Any], request: pytest.FixtureRequest) -> None:
    shown = names[name]

    shown(*(request.getfixturevalue(fixture) for fixture in inspect.signature(shown).parameters))


@pytest.mark.django_db
def test_virtual_time_works_without_pytest_too(names: dict[str, Any]) -> None:
    names["watch_a_year"]()
