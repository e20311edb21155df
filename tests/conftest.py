"""What every test run needs: its database server, before Django connects."""

from __future__ import annotations

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
