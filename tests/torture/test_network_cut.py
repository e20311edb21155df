"""The network between one node and the database is down for longer than its lease."""

from __future__ import annotations

import time

import pytest

from tests.cluster.field import Field, eventually
from tests.cluster.test_network_faults import proxied
from tests.cluster.test_stopped_nodes import FREEZE_BOUND, RUNNING, running, started_again, state

pytestmark = [pytest.mark.torture, pytest.mark.django_db(transaction=True)]


def test_work_of_a_node_that_is_cut_off_starts_elsewhere_and_the_node_comes_back(field: Field) -> None:
    with proxied(field) as proxy:
        cut_off = field.start("a", "--workers", "1")
        running(field, 40)
        del field.settings["DATABASE_URL"]
        field.start("b", "--workers", "1")
        proxy.cut()
        cut_at = time.time()
        assert started_again(field, FREEZE_BOUND + 5) - cut_at <= FREEZE_BOUND
        eventually(lambda: "are stopped before the lease ends" in field.log("a"))
        field.wait_until_succeeded(RUNNING)
        assert state(field, "a") == "dead"
        proxy.mend()
        eventually(lambda: state(field, "a") == "active" and field.worker_pids("a"), within=20)
        assert field.stop("b") == 0
        field.schedule("cluster.work", 100)
        field.wait_until_succeeded(RUNNING + 100)
        assert cut_off.poll() is None
        field.check_ledger(RUNNING + 100)
