"""What every test run needs: its database server, before Django connects."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.support.server import serve_tests

pytest_plugins = ["timers.testing.pytest_plugin"]

_until_the_end = pytest.StashKey[ExitStack]()


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput") and not config.option.collectonly:
        config.stash[_until_the_end] = ExitStack()
        serve_tests(config.stash[_until_the_end])


def pytest_unconfigure(config: pytest.Config) -> None:
    if stack := config.stash.get(_until_the_end, None):
        stack.close()


def pytest_collection_finish() -> None:
    # What was loaded so far stays to the end; each full collection of garbage would look through all of it in vain.
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _tables_emptied_without_flush(django_test_environment: None) -> None:
    from tests.support.committed import empty_tables_without_flush

    empty_tables_without_flush()


@pytest.fixture(autouse=True)
def _session_of_its_own(request: pytest.FixtureRequest) -> Iterator[None]:
    """What a test on committed rows leaves open is not met by the next one."""
    marker = request.node.get_closest_marker("django_db")
    commits = "transactional_db" in request.fixturenames or (marker is not None and marker.kwargs.get("transaction"))
    if not commits:
        yield
        return
    request.getfixturevalue("transactional_db")
    # Where the settings are not there yet, this very file is read.
    from tests.support.committed import session_ended_afterwards

    with session_ended_afterwards():
        yield
