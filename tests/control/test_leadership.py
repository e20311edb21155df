"""What people ask of the leadership: hand it over, release it."""

from __future__ import annotations

import pytest

from tests import factories
from timers.control.leadership import hand_over, release_lead
from timers.engine.leadership import settle
from timers.exceptions import InvalidRequest, NotAllowedNow, TimerNotFound
from timers.models import ClusterEvent, Node
from timers.testing import VirtualTime

pytestmark = pytest.mark.usefixtures("time")


def test_the_lead_is_handed_to_a_backup_and_stays_there(time: VirtualTime) -> None:
    _, backup = factories.led_pair("exclusive")
    row = hand_over(to="node-b", reason="new disk", actor="olga")
    assert (row.node_id, row.epoch, row.is_pinned) == (backup.id, 2, True)
    assert dict(Node.objects.values_list("name", "state")) == {"node-a": "standby", "node-b": "active"}
    assert settle("default") is None
    event = ClusterEvent.objects.get()
    assert event.detail == "partition default, epoch 2, after node-a: handed over by olga: new disk"


def test_the_lead_goes_back_when_a_person_says_so(time: VirtualTime) -> None:
    factories.led_pair("exclusive")
    hand_over()
    assert str(hand_over().node) == "node-a"


def test_a_lead_that_is_held_is_handed_over_by_hand(time: VirtualTime) -> None:
    gone = factories.node("node-a", mode="exclusive", state="stopped", ended_at=time.now)
    factories.node("node-b", mode="backup", precedence=1, state="standby")
    factories.leadership(gone, held_precedence=0)
    assert settle("default") is None
    row = hand_over()
    assert (str(row.node), row.held_precedence, row.led_since) == ("node-b", None, time.now)


def test_a_released_lead_of_a_distributed_partition_goes_to_another_node(time: VirtualTime) -> None:
    factories.led_pair()
    factories.group("single", placement="lead")
    assert str(release_lead(actor="olga").node) == "node-b"
    assert settle("default") is None


def test_what_cannot_be_handed_over_is_refused_in_words(time: VirtualTime) -> None:
    with pytest.raises(TimerNotFound, match=r"partition: reports has no live node\. Start one first\."):
        hand_over("reports")
    factories.leadership(factories.node("node-a"))
    with pytest.raises(NotAllowedNow, match=r"partition: no other node is ready to lead\."):
        release_lead()
    with pytest.raises(NotAllowedNow, match=r"to: node x is not a live node of the partition\."):
        hand_over(to="x")
    with pytest.raises(InvalidRequest, match="partition"):
        hand_over("")
