"""Handlers that do what they must not, among many that do their work."""

from __future__ import annotations

import os
import signal

import pytest

from tests.cluster import scenarios
from tests.cluster.field import Field, eventually
from tests.cluster.test_components import _GROUP, _HOSTILE
from tests.cluster.test_descendants import none_lives, run
from tests.support.hostile import HOSTILE
from tests.support.profile import IS_LONG

pytestmark = [pytest.mark.torture, pytest.mark.django_db(transaction=True)]

COUNT = 5_000 if IS_LONG else 2_000
WORKERS = 10 if IS_LONG else 5


def test_handlers_that_leave_state_behind_among_thousands_of_writers(field: Field) -> None:
    scenarios.spoiled(field, COUNT, ("autocommit", "setting", "directory"))


def test_hostile_exceptions_among_thousands_of_others(field: Field) -> None:
    field.run(_GROUP.format(max_retries=0))
    field.start("a")
    field.schedule("cluster.count", COUNT)
    field.run(_HOSTILE.format(names=list(HOSTILE)))
    field.wait_until_succeeded(COUNT, within=120)
    errors = "SELECT count(DISTINCT name) FROM timers_attempt WHERE outcome = 'error'"
    eventually(lambda: field.value(errors) == 2 * len(HOSTILE), within=60)
    assert field.succeeded() == COUNT


def test_programs_of_workers_that_are_killed_one_after_the_other_end(field: Field) -> None:
    pids = run(field, "return")
    for _ in range(WORKERS):
        (worker,) = eventually(lambda: found if len(found := field.worker_pids("a")) == 1 else [])
        os.kill(worker, signal.SIGKILL)
        eventually(none_lives(pids), within=5)
        eventually(lambda gone=worker: field.worker_pids("a") not in ([], [gone]))  # type: ignore[misc]
