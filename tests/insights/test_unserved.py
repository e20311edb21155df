from __future__ import annotations

from typing import Any

import pytest

from tests import factories
from timers import clock
from timers.insights.cluster import cluster
from timers.insights.doctor import examine
from timers.insights.health import concerns
from timers.insights.unserved import Unserved, unserved

pytestmark = pytest.mark.django_db


def findings() -> list[tuple[str, str]]:
    return [(each.severity, each.what) for each in examine(clock.now()).findings if each.check == "unserved_groups"]


def told() -> list[str]:
    return [f"{each.text} {each.command}".rstrip() for each in concerns(cluster(clock.now()))]


@pytest.mark.parametrize(
    ("group", "sentence", "command"),
    [
        (
            {"partition": "reports"},
            "Nobody serves 1 group of partition reports: it has no living node",
            "python manage.py runtimerworker --partition reports",
        ),
        (
            {"required_roles": ["gpu"]},
            "Nobody serves 1 group of partition default with the roles gpu: no living node of it has the role gpu",
            "python manage.py runtimerworker --partition default --roles gpu",
        ),
        (
            {"required_roles": ["gpu", "mail", "tape"]},
            "Nobody serves 1 group of partition default with the roles gpu, mail, tape: no living node of it has the"
            " roles gpu, tape",
            "python manage.py runtimerworker --partition default --roles gpu,mail,tape",
        ),
        (
            {"partition": "x; rm -r y", "required_roles": ["$HOME"]},
            "Nobody serves 1 group of partition x; rm -r y with the roles $HOME: it has no living node",
            "python manage.py runtimerworker --partition 'x; rm -r y' --roles '$HOME'",
        ),
    ],
)
def test_a_group_that_nobody_serves_is_told_with_the_reason_and_what_to_start(
    group: dict[str, Any], sentence: str, command: str
) -> None:
    factories.node("node-a", roles=["mail"])
    factories.timer(in_group=factories.group("work", **group))
    assert told() == [f"{sentence}. Start one: {command}"]
    (finding,) = [each for each in examine(clock.now()).findings if each.check == "unserved_groups"]
    assert (finding.severity, finding.what) == ("error", f"{sentence}.")
    assert command in finding.remedy
    assert finding.evidence == ({"group": "work"},)


def test_a_group_that_has_nothing_to_do_is_only_mentioned_by_the_doctor() -> None:
    factories.node()
    factories.group(partition="reports")
    assert told() == []
    assert findings() == [("info", "Nobody serves 1 group of partition reports: it has no living node.")]


def test_roles_that_no_single_node_has_together_are_told_by_the_doctor() -> None:
    factories.node(roles=["gpu"])
    factories.node(roles=["mail"])
    factories.timer(in_group=factories.group(required_roles=["gpu", "mail"]))
    assert told() == []
    assert findings() == [
        (
            "error",
            "Nobody serves 1 group of partition default with the roles gpu, mail: its living nodes have not all of the"
            " roles, drain, or take no timers.",
        )
    ]


def test_groups_of_one_reason_are_told_together() -> None:
    factories.node()
    for name in ("a", "b"):
        factories.timer(in_group=factories.group(name, partition="reports"))
    assert unserved(clock.now()) == (Unserved("reports", (), (), False, True, ("a", "b")),)


@pytest.mark.parametrize(
    "group",
    [{}, {"state": "paused", "partition": "reports"}, {"partition": "reports", "action": {"kind": "pull"}}],
    ids=["served", "paused", "pulled"],
)
def test_a_group_that_needs_no_further_node_is_well(group: dict[str, Any]) -> None:
    factories.node()
    factories.timer(in_group=factories.group(**group))
    assert unserved(clock.now()) == ()


def test_without_any_node_that_alone_is_told() -> None:
    factories.timer(in_group=factories.group(partition="reports"))
    assert told() == ["No node is alive: no timer fires. Start one: python manage.py runtimerworker"]


def test_a_node_that_has_ended_has_no_roles() -> None:
    factories.node(roles=["gpu"], beat_ago=60)
    factories.node()
    factories.timer(in_group=factories.group(required_roles=["gpu"]))
    (found,) = unserved(clock.now())
    assert found.missing == ("gpu",)
