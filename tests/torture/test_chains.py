"""Orders of chains on three real nodes, through kills: every step in order, none lost, none run again once recorded."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import datetime

import pytest

from tests.cluster.field import Field, eventually
from tests.support.profile import IS_LONG

pytestmark = [pytest.mark.torture, pytest.mark.django_db(transaction=True)]

ORDERS = 100
RUNS = 100 if IS_LONG else 20
ELEMENTS = 1_000 if IS_LONG else 300

_DEFINE = """
from timers.chains import add_order, create_chain, set_lock
from timers.scheduling import ensure_group
ensure_group("work", action={"handler": "cluster.count"})
def step(following, handler="cluster.work", **fields):
    return {"kind": "action", "action": {"handler": handler}, "next": following, **fields}
END = {"kind": "end"}
RETRY = dict(on_error="retry", retry={"max_retries": 20, "min_backoff": 0.1, "max_backoff": 1})
"""
_THREE_STEPS = """
steps = {"one": step("two", **RETRY), "two": step("three", **RETRY), "three": step("end", **RETRY), "end": END}
create_chain("work", "main", {"start": "one", "steps": steps})
"""
_ADD = """
for number in range({orders}):
    add_order("work", "main", name=f"order{{number}}")
"""
_STEP_ROWS = """
SELECT name, step, node, started_at, finished_at FROM timers_attempt WHERE outcome = 'advanced' ORDER BY started_at
"""


def three_nodes(field: Field) -> None:
    for name in "abc":
        field.start(name, "--workers", "1")
    field.wait_for_workers(3)


def wait_for_orders(field: Field, count: int, within: float = 90) -> None:
    ended = "SELECT count(*) FROM timers_chain_order WHERE parent IS NULL AND outcome = 'succeeded'"
    eventually(lambda: field.value(ended) >= count, within)


def check_nothing_is_left(field: Field) -> None:
    assert field.value("SELECT count(*) FROM timers_claim") == 0
    assert field.value("SELECT count(*) FROM timers_waiting") == 0
    assert field.value("SELECT count(*) FROM timers_chain_order WHERE ended_at IS NULL") == 0


def most_at_once(spans: list[tuple[datetime, datetime]]) -> int:
    """The most spans that hold one instant."""
    moves = sorted([(begin, 1) for begin, _ in spans] + [(end, -1) for _, end in spans])
    running = most = 0
    for _, change in moves:
        running += change
        most = max(most, running)
    return most


@pytest.mark.alone
def test_any_node_runs_any_step_and_shares_are_even(field: Field) -> None:
    three_nodes(field)
    field.run(_DEFINE + _THREE_STEPS + _ADD.format(orders=ORDERS))
    wait_for_orders(field, ORDERS)
    by_order: dict[str, list[str]] = defaultdict(list)
    nodes_of: dict[str, set[str]] = defaultdict(set)
    shares: Counter[str] = Counter()
    for name, step, node, *_ in field.rows(_STEP_ROWS):
        by_order[name].append(step)
        nodes_of[step].add(node)
        shares[node] += 1
    assert set(map(tuple, by_order.values())) == {("one", "two", "three")}
    assert all(len(nodes) >= 2 for nodes in nodes_of.values())
    even = ORDERS  # three steps over three nodes
    assert all(abs(share - even) <= 0.25 * even for share in shares.values()), shares
    check_nothing_is_left(field)


def test_killed_node_repeats_no_finished_step_and_loses_none(field: Field) -> None:
    three_nodes(field)
    field.run(_DEFINE + _THREE_STEPS + _ADD.format(orders=ORDERS))
    eventually(lambda: field.value("SELECT count(*) FROM timers_attempt WHERE outcome = 'advanced'") >= ORDERS // 3)
    field.kill("a")
    wait_for_orders(field, ORDERS)
    rows = field.rows("SELECT name, step FROM timers_attempt WHERE outcome = 'advanced'")
    assert Counter(rows) == {
        (f"order{number}", step): 1 for number in range(ORDERS) for step in ("one", "two", "three")
    }
    late = field.value(
        "SELECT max(extract(epoch FROM n.started_at - l.finished_at)) FROM timers_attempt l JOIN timers_attempt n"
        " ON n.name = l.name AND n.attempt = l.attempt + 1 WHERE l.outcome = 'lost'"
    )
    assert late is None or late <= 5
    check_nothing_is_left(field)


def test_states_of_steps_and_orders_hold_through_the_death_of_all_nodes(field: Field) -> None:
    three_nodes(field)
    field.run(
        _DEFINE + _THREE_STEPS + "from timers.chains import stop_step, skip_step, suspend_order\n"
        "stop_step('work', 'main', 'two'); skip_step('work', 'main', 'three')\n" + _ADD.format(orders=30)
    )
    stopped = "SELECT count(*) FROM timers_chain_order WHERE step = 'two' AND state = 'at_stopped'"
    eventually(lambda: field.value(stopped) == 30)
    suspend = (
        "from timers.models import ChainOrder; from timers.chains import suspend_order\n"
        "for order in ChainOrder.objects.order_by('id')[:10]: suspend_order(str(order.id))"
    )
    field.run(suspend)
    for name in "abc":
        field.kill(name)
    for name in "de":
        field.start(name, "--workers", "1")
    assert field.value("SELECT count(*) FROM timers_chain_order WHERE state = 'suspended'") == 10
    assert field.value("SELECT count(*) FROM timers_chain_step WHERE state IN ('stopped', 'skipped')") == 2
    field.run("from timers.chains import activate_step; activate_step('work', 'main', 'two')")
    wait_for_orders(field, 20)
    states = field.rows("SELECT state, count(*) FROM timers_chain_order GROUP BY 1 ORDER BY 1")
    assert states == [("ended", 20), ("suspended", 10)]
    field.run(
        "from timers.models import ChainOrder; from timers.chains import resume_order\n"
        "for order in ChainOrder.objects.filter(state='suspended'): resume_order(str(order.id))"
    )
    wait_for_orders(field, 30)
    steps = dict(field.rows("SELECT step, count(*) FROM timers_attempt WHERE outcome = 'advanced' GROUP BY 1"))
    assert steps == {"one": 30, "two": 30}
    check_nothing_is_left(field)


@pytest.mark.parametrize("mode", ["all", "any", 2])
def test_each_join_goes_on_once_through_kills(field: Field, mode: str | int) -> None:
    three_nodes(field)
    field.run(
        _DEFINE + f"MODE = {mode!r}\n"
        "steps = {'fork': {'kind': 'fork', 'branches': {name: name for name in 'xyz'}, 'join': 'join'},\n"
        "         **{name: step('join', **RETRY) for name in 'xyz'},\n"
        "         'join': {'kind': 'join', 'mode': MODE, 'next': 'after', 'on_branch_failure': 'wait'},\n"
        "         'after': step('end', **RETRY), 'end': END}\n"
        "create_chain('work', 'main', {'start': 'fork', 'steps': steps})\n" + _ADD.format(orders=RUNS)
    )
    eventually(lambda: field.value("SELECT count(*) FROM timers_attempt WHERE outcome = 'advanced'") >= RUNS // 2)
    field.kill("a")
    field.start("d", "--workers", "1")
    wait_for_orders(field, RUNS)
    assert field.value("SELECT count(*) FROM timers_attempt WHERE step = 'after' AND outcome = 'advanced'") == RUNS
    eventually(lambda: field.value("SELECT count(*) FROM timers_claim") == 0)
    check_nothing_is_left(field)


def test_map_never_runs_more_than_its_bound(field: Field) -> None:
    three_nodes(field)
    field.run(
        _DEFINE + "steps = {'map': {'kind': 'map', 'over': 'items', 'branch': 'each', 'join': 'join', 'parallel': 50,\n"
        "                 'into': 'done'}, 'each': step('join', **RETRY), 'join': {'kind': 'join', 'next': 'end'},\n"
        "         'end': END}\n"
        "create_chain('work', 'main', {'start': 'map', 'steps': steps})\n"
        f"add_order('work', 'main', name='order', variables={{'items': list(range({ELEMENTS}))}})\n"
    )
    wait_for_orders(field, 1, within=120)
    spans = field.rows("SELECT started_at, finished_at FROM timers_attempt WHERE outcome = 'advanced'")
    assert len(spans) == ELEMENTS
    assert most_at_once(spans) <= 50
    check_nothing_is_left(field)


def test_lock_of_two_is_never_held_by_three_over_three_nodes_and_two_chains(field: Field) -> None:
    three_nodes(field)
    field.run(
        _DEFINE + "set_lock('work', 'printer', 2)\n"
        "for name in ('one', 'two'):\n"
        "    create_chain('work', name, {'start': 'print', 'locks': {'printer': 'shared'},\n"
        "                 'steps': {'print': step('end', locks=['printer'], **RETRY), 'end': END}})\n"
        "    for number in range(20):\n"
        "        add_order('work', name, name=f'{name}{number}')\n"
    )
    eventually(lambda: field.value("SELECT count(*) FROM timers_attempt WHERE outcome = 'advanced'") >= 5)
    field.kill("b")
    wait_for_orders(field, 40)
    spans = field.rows("SELECT started_at, finished_at FROM timers_attempt WHERE outcome = 'advanced'")
    assert len(spans) == 40
    assert most_at_once(spans) <= 2
    check_nothing_is_left(field)
