"""The examples of the pages on the audit trail and on operating run, and do what they say."""

from __future__ import annotations

import pytest

from tests.docs import snippets
from timers.control.cluster_pause import resume_cluster
from timers.control.groups import create_group
from timers.models import AuditEntry, ClusterEvent
from timers.scheduling import pause_timer, schedule_fixed_rate

pytestmark = pytest.mark.django_db


def test_the_trail_is_read_and_whoever_asks_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    create_group("reports", action={"kind": "pull"})
    schedule_fixed_rate("reports", "nightly", period=60)
    pause_timer("reports", "nightly", actor="ann")

    snippets.run("docs/audit.md")

    told = capsys.readouterr().out
    assert "ann timer.pause {'state': 'active'} {'state': 'paused'}" in told and "timer.create" in told
    entry = AuditEntry.objects.latest("id")
    assert (entry.verb, entry.actor, entry.address, entry.request_id) == ("group.pause", "olga", "192.0.2.7", "4f1c")


def test_the_cluster_and_a_partition_are_paused_and_resumed() -> None:
    create_group("weekly", partition="reports")
    snippets.run("docs/operating.md")

    kinds = list(ClusterEvent.objects.order_by("id").values_list("kind", "detail"))
    assert kinds == [
        ("cluster paused", "by olga: the warehouse floods"),
        ("cluster resumed", "by olga"),
        ("partition paused", "reports by olga"),
        ("partition resumed", "reports by olga"),
    ]
    assert not resume_cluster()
