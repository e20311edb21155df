"""Who runs how much: shares of three nodes, roles, nodes that run nothing, and partitions."""

from __future__ import annotations

import pytest

from tests.cluster.field import Field, eventually
from tests.support.profile import IS_LONG

pytestmark = [pytest.mark.torture, pytest.mark.django_db(transaction=True)]

TIMERS = 30_000 if IS_LONG else 15_000
A_SECOND = 1_000
TOLERANCE = 0.15
"""How much the largest share may exceed the smallest."""

_SPREAD = """
from datetime import timedelta
from timers import clock
from timers.scheduling import ensure_group, schedule_many
start = clock.now() + timedelta(seconds=5)
for group, fields in {groups!r}.items():
    ensure_group(group, action={{"handler": {handler!r}}}, **fields)
for first in range(0, {count}, 5_000):
    schedule_many([
        dict(kind="once", group=group, name=f"{{group}}-{{n}}", at=start + timedelta(seconds={seconds} * n / {count}))
        for n in range(first, min(first + 5_000, {count})) for group in {groups!r}
    ])
"""


def spread(
    field: Field, count: int, seconds: float, handler: str = "cluster.count", **groups: dict[str, object]
) -> None:
    """Create `count` one-shots in each group, whose instants are spread over so many seconds."""
    script = _SPREAD.format(groups=groups, count=count, seconds=seconds, handler=handler)
    field.run(script)


def executions_by_node(field: Field, group: str) -> dict[str, int]:
    """How many executions of the group each node has run."""
    return dict(
        field.rows(
            "SELECT a.node, count(*) FROM timers_attempt a JOIN timers_timer_group g ON g.id = a.group_id"
            " WHERE a.outcome = 'succeeded' AND g.name = %s GROUP BY 1",
            group,
        )
    )


@pytest.mark.alone
@pytest.mark.parametrize(
    ("seconds", "handler"),
    [(0.0, "cluster.work"), (TIMERS / A_SECOND, "cluster.count")],
    ids=["due at once", "a thousand a second"],
)
def test_three_nodes_run_equal_shares_of_many_timers(field: Field, seconds: float, handler: str) -> None:
    for name in "abc":
        field.start(name, "--workers", "1")
    field.wait_for_workers(3)
    spread(field, TIMERS, seconds, handler, work={})
    field.wait_until_succeeded(TIMERS, within=120)
    shares = executions_by_node(field, "work")
    assert len(shares) == 3
    assert max(shares.values()) <= min(shares.values()) * (1 + TOLERANCE), shares
    assert len({call.execution for call in field.calls()}) == len(field.calls()) == TIMERS


def test_a_node_without_the_role_or_that_must_not_execute_runs_nothing(field: Field) -> None:
    field.start("painter", "--workers", "1", "--roles", "paint")
    field.start("other", "--workers", "1", "--roles", "sand")
    field.start("idle", "--workers", "1", "--roles", "paint", "--no-execution")
    spread(field, 1_000, 3.0, painted={"required_roles": ["paint"]})
    field.wait_until_succeeded(1_000)
    assert executions_by_node(field, "painted") == {"painter": 1_000}


def test_no_fire_crosses_from_one_partition_to_another(field: Field) -> None:
    for partition in ("north", "south"):
        for number in "12":
            field.start(f"{partition}-{number}", "--workers", "1", "--partition", partition)
    field.wait_for_workers(4)
    spread(field, 1_000, 5.0, cold={"partition": "north"}, warm={"partition": "south"})
    field.wait_until_succeeded(2_000)
    assert executions_by_node(field, "cold").keys() == {"north-1", "north-2"}
    assert executions_by_node(field, "warm").keys() == {"south-1", "south-2"}
    field.kill("north-1")
    field.kill("north-2")
    spread(field, 10, 0.0, late={"partition": "north"})
    eventually(lambda: field.value("SELECT clock_timestamp() - max(next_fire_at) > INTERVAL '3 s' FROM timers_timer"))
    assert executions_by_node(field, "late") == {}
