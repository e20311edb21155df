"""Nodes whose wall clocks are wrong by minutes, and nodes that get no notifications."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from tests.cluster.field import Field, eventually
from tests.torture.live import system

pytestmark = [pytest.mark.cluster, pytest.mark.django_db(transaction=True)]

WRONG = {"ahead": 300, "behind": -300}
"""Seconds, by the name of the node."""
POLL = 1.0

_SPREAD = """
from timers.scheduling import ensure_group, schedule_many
ensure_group("work")
schedule_many([dict(kind="once", group="work", name=f"n-{n}", after=2 + n * 0.02, handler="cluster.work")
               for n in range(300)])
"""


@pytest.fixture
def shim(tmp_path: Path) -> Path:
    """The library that shifts the wall clock of the processes it is preloaded into."""
    built = system.build_shim(tmp_path)
    assert built is not None, "a C compiler is needed: apt-get install gcc libc6-dev"
    return built


def test_clocks_that_are_five_minutes_off_start_nothing_early_and_kill_nobody(field: Field, shim: Path) -> None:
    for name, seconds in WRONG.items():
        clock = field.folder / f"clock-{name}"
        clock.write_bytes(struct.pack("q", seconds * 1_000_000_000))
        field.settings |= {"LD_PRELOAD": str(shim), "CLOCK_OFFSET": str(clock)}
        field.start(name, "--workers", "1")
    for setting in ("LD_PRELOAD", "CLOCK_OFFSET"):
        del field.settings[setting]
    field.start("right", "--workers", "1")
    field.run(_SPREAD)
    field.wait_until_succeeded(300)
    early, nodes = field.rows(
        "SELECT min(started_at - scheduled_for) < INTERVAL '0', count(DISTINCT node) FROM timers_attempt"
    )[0]
    assert (early, nodes) == (False, 3), "all three have fired"
    assert field.value("SELECT count(*) FROM timers_cluster_event WHERE kind = 'node died'") == 0
    offsets = "SELECT name, round(clock_offset) FROM timers_node"
    eventually(lambda: {name: int(seconds) for name, seconds in field.rows(offsets)} == {**WRONG, "right": 0})
    field.check_ledger(300)


def test_without_notifications_everything_starts_a_poll_later_at_most(field: Field) -> None:
    field.settings["TIMERS_NOTIFY"] = "false"
    field.start("a", "--workers", "2")
    field.schedule("cluster.count", 100)
    field.wait_until_succeeded(100)
    late = (
        "SELECT max(extract(epoch FROM a.started_at - t.created_at))::float8"
        " FROM timers_attempt a JOIN timers_timer t ON t.id = a.timer_id"
    )
    assert field.value(late) <= POLL + 1
