"""Chains that are declared: versions where the declaration changes, a stop where it is gone, people's changes kept."""

from __future__ import annotations

from typing import Any

import pytest

from tests import factories
from tests.support.handlers import TemporaryHandlers
from timers.control.chains.define import create_chain, delete_chain, update_chain
from timers.control.chains.steps import start_chain, stop_chain
from timers.control.declaration import CODE, Declaration, Declared
from timers.control.sync import reconcile
from timers.control.sync_report import Entry, Reconciled
from timers.exceptions import InvalidRequest
from timers.models import AuditEntry, Chain, ChainOrder, ChainVersion, ClusterEvent, Timer
from timers.scheduling import schedule_once
from timers.testing import Stepper

SOURCE = "file:chains.yaml"
pytestmark = pytest.mark.usefixtures("group", "handlers")


def steps(**fields: Any) -> dict[str, Any]:
    return {"steps": {"a": {"action": {"handler": "tests.noop"}, "next": "end", **fields}, "end": {"kind": "end"}}}


ONE, OTHER = steps(), steps(timeout=5)


def sync(owner: str | None = None, timers: list[Any] | None = None, **chains: Any) -> Reconciled:
    found = [
        Declaration({"group": "work", "name": name, "definition": definition}, "chains.yaml", f"chains.{name}")
        for name, definition in chains.items()
    ]
    wanted = [Declaration(keywords, "chains.yaml") for keywords in timers or []]
    return reconcile(Declared(SOURCE, wanted, chains=found), owner=owner)


def names(entries: tuple[Entry, ...]) -> list[str]:
    return [f"{entry}: {entry.why}" for entry in entries]


def chain(name: str = "main") -> Chain:
    return Chain.objects.get(name=name)


def test_declared_chain_is_created_and_a_second_time_there_is_nothing_to_do() -> None:
    assert names(sync(main=ONE).created) == ["chain work/main: 2 steps"]
    assert (chain().source, chain().owner, chain().declared_version) == (SOURCE, "timerproject", 1)
    assert chain().created_by == SOURCE
    assert sync(main=ONE) == Reconciled(SOURCE, unchanged=1)


def test_same_definition_in_other_words_makes_no_version() -> None:
    sync(main=ONE)
    full = {"start": "a", "priority": 0, **steps(kind="action", delay="PT0S", locks=[])}
    assert sync(main=full) == Reconciled(SOURCE, unchanged=1)
    assert ChainVersion.objects.count() == 1


def test_definition_that_changes_makes_a_version_and_the_difference_is_told() -> None:
    sync(main=ONE)
    report = sync(main=OTHER)
    assert names(report.updated) == ["chain work/main: version 2"]
    assert [str(change) for change in report.updated[0].changes] == ["steps.a.timeout: none -> 5"]
    assert (chain().newest, chain().declared_version) == (2, 2)
    assert sync(main=OTHER) == Reconciled(SOURCE, unchanged=1)


def test_version_of_a_person_is_kept_until_the_declaration_changes() -> None:
    sync(main=ONE)
    update_chain("work", "main", steps(timeout=9), actor="alice")
    report = sync(main=ONE)
    assert names(report.kept) == ["chain work/main: version 2 was defined by hand; declared is version 1"]
    assert [str(change) for change in report.kept[0].changes] == ["steps.a.timeout: 9 -> none"]
    assert chain().newest == 2
    assert names(sync(main=OTHER).updated) == ["chain work/main: version 3"]


def test_declaration_that_follows_a_person_makes_no_version() -> None:
    sync(main=ONE)
    update_chain("work", "main", OTHER, actor="alice")
    assert sync(main=OTHER) == Reconciled(SOURCE, unchanged=1)
    assert (chain().newest, chain().declared_version) == (2, 2)


def test_chain_that_is_no_longer_declared_is_stopped_with_the_reason_and_never_deleted() -> None:
    sync(main=ONE, second=ONE)
    report = sync(second=ONE)
    assert names(report.stopped) == [f"chain work/main: no longer declared in {SOURCE}"]
    assert (chain().state, chain().state_reason) == ("stopped", f"no longer declared in {SOURCE}")
    assert chain().state_changed_by == SOURCE
    assert sync(second=ONE) == Reconciled(SOURCE, unchanged=1)


def test_orders_of_a_chain_that_is_no_longer_declared_wait_and_go_on_when_it_is_declared_again(node: Stepper) -> None:
    sync(main=ONE)
    schedule_once("work", "order", after=0, action={"kind": "chain", "chain": "main"})
    node.claim()
    sync()
    node.until_idle()
    node.step()
    assert chain().state == "stopped"
    report = sync(main=ONE)
    assert names(report.started) == ["chain work/main: "]
    node.advance(5)
    assert ChainOrder.objects.get().outcome == "succeeded"


def test_chain_that_is_declared_again_otherwise_is_started_with_a_new_version() -> None:
    sync(main=ONE)
    sync()
    assert names(sync(main=OTHER).started) == ["chain work/main: version 2"]
    assert chain().state == "active"


def test_chain_that_a_person_stopped_stays_stopped() -> None:
    sync(main=ONE)
    stop_chain("work", "main", reason="repairs", actor="alice")
    sync(main=OTHER)
    assert sync().stopped == ()
    sync(main=ONE)
    assert (chain().state, chain().state_reason) == ("stopped", "repairs")


def test_chain_that_a_person_started_again_is_left_to_that_person() -> None:
    sync(main=ONE)
    sync()
    start_chain("work", "main", actor="alice")
    assert sync() == Reconciled(SOURCE)
    assert chain().state == "active"


def test_chain_that_a_person_deleted_is_created_again() -> None:
    sync(main=ONE)
    delete_chain("work", "main")
    assert names(sync(main=ONE).created) == ["chain work/main: 2 steps"]


def test_name_of_a_chain_that_is_not_declared_is_a_conflict_and_the_rest_is_done() -> None:
    create_chain("work", "main", ONE)
    report = sync(main=OTHER, second=ONE)
    why = "a chain of that name exists, which was not made from a declaration"
    assert names(report.conflicts) == [f"chain work/main: {why}"]
    assert names(report.created) == ["chain work/second: 2 steps"]
    assert chain().newest == 1


def test_name_that_two_programs_declare_is_a_conflict_that_names_both() -> None:
    sync("shop", main=ONE)
    report = sync("billing", main=OTHER)
    assert names(report.conflicts)[0].endswith(f"is declared in {SOURCE} of the program 'shop'; this is 'billing'")
    assert sync("billing") == Reconciled(SOURCE)
    assert chain().state == "active"


def test_program_with_another_name_takes_its_chains_over() -> None:
    sync("shop", main=ONE)
    found = [Declaration({"group": "work", "name": "main", "definition": ONE}, "chains.yaml")]
    report = reconcile(Declared(SOURCE, [], chains=found), owner="store", take_over="shop")
    assert report == Reconciled(SOURCE, unchanged=1)
    assert chain().owner == "store"


def test_timer_may_be_an_order_of_a_chain_of_the_same_file() -> None:
    order = {"kind": "fixed_rate", "group": "work", "name": "order", "period": 60}
    report = sync(timers=[{**order, "action": {"kind": "chain", "chain": "main"}}], main=ONE)
    assert [str(entry) for entry in report.created] == ["chain work/main", "work/order"]


def test_dry_run_tells_all_and_writes_nothing() -> None:
    sync(main=ONE, second=ONE)
    found = [
        Declaration({"group": "work", "name": name, "definition": OTHER}, "chains.yaml") for name in ("main", "third")
    ]
    report = reconcile(Declared(SOURCE, [], chains=found), dry_run=True)
    assert (len(report.created), len(report.updated), len(report.stopped)) == (1, 1, 1)
    assert dict(Chain.objects.values_list("name", "newest")) == {"main": 1, "second": 1}
    assert set(Chain.objects.values_list("state", flat=True)) == {"active"}


def test_all_mistakes_are_named_with_their_places_and_nothing_is_written() -> None:
    with pytest.raises(InvalidRequest) as refused:
        sync(
            main=steps(next="nowhere"),
            second={"steps": {}},
            timers=[{"kind": "fixed_rate", "group": "work", "name": "x", "period": 0}],
        )
    fields = [problem.field for problem in refused.value.problems]
    assert fields == ["period", "chains.main.steps.a.next", "chains.second.steps"]
    assert not Chain.objects.exists()


def test_handlers_that_nobody_knows_are_named_with_their_places(handlers: TemporaryHandlers) -> None:
    with pytest.raises(InvalidRequest) as refused:
        sync(main=steps(action={"handler": "no.one"}), second=steps(action={"handler": "no.two"}))
    assert [problem.field for problem in refused.value.problems] == [
        "chains.main.steps.a.action.handler", "chains.second.steps.a.action.handler",
    ]  # fmt: skip
    assert not Timer.objects.exists()
    sync(main=ONE)
    with pytest.raises(InvalidRequest) as refused:
        sync(main=steps(action={"handler": "no.one"}))
    assert refused.value.field == "chains.main.steps.a.action.handler"


def test_what_was_done_is_one_event_and_one_entry_of_the_audit_trail() -> None:
    sync(main=ONE)
    sync(main=ONE)
    (event,) = ClusterEvent.objects.filter(kind="declared timers reconciled")
    assert event.detail == f"{SOURCE}: 1 created (chain work/main), 0 unchanged"
    assert list(AuditEntry.objects.values_list("verb", flat=True)) == ["declaration.reconcile"]


def test_chains_of_one_file_may_contain_each_other_in_any_order() -> None:
    outer = {"steps": {"sub": {"kind": "chain", "chain": "inner", "next": "end"}, "end": {"kind": "end"}}}
    assert names(sync(outer=outer, inner=ONE).created) == ["chain work/inner: 2 steps", "chain work/outer: 2 steps"]


def by_code(**chains: Any) -> Reconciled:
    found = [
        Declaration({"group": "work", "name": name, "definition": definition}, "app.timer_handlers")
        for name, definition in chains.items()
    ]
    return reconcile(Declared(CODE, [], chains=found))


def test_chain_declared_in_code_is_created_versioned_and_stopped_as_one_of_a_file() -> None:
    by_code(main=ONE)
    assert (chain().source, chain().owner, chain().declared_version) == ("code", "timerproject", 1)
    assert names(by_code(main=OTHER).updated) == ["chain work/main: version 2"]
    assert names(by_code().stopped) == ["chain work/main: no longer declared in code"]
    assert (chain().state, chain().declared_version) == ("stopped", None)
    assert names(by_code(main=OTHER).started) == ["chain work/main: "]


def test_chain_of_code_is_kept_while_only_another_living_node_knows_its_handlers() -> None:
    by_code(main=ONE)
    ChainVersion.objects.update(definition=steps(action={"handler": "newer.work"}))
    newer = factories.node(handlers=["newer.work"])
    assert names(by_code().kept) == [
        "chain work/main: no longer declared in code here, but only other living nodes know handlers of its steps"
    ]
    assert (chain().state, chain().declared_version) == ("active", 1)
    newer.delete()
    assert names(by_code().stopped) == ["chain work/main: no longer declared in code"]


def test_name_that_a_file_declares_is_a_conflict_for_code() -> None:
    sync(main=ONE)
    (told,) = by_code(main=OTHER).conflicts
    assert told.why == "a chain of that name exists, which is declared in file:chains.yaml"


def outer(*inner: str) -> dict[str, Any]:
    """A chain that contains others."""
    subs = {f"s{number}": {"kind": "chain", "chain": name} for number, name in enumerate(inner)}
    names = [*subs, "end"]
    return {"steps": {**{at: {**subs[at], "next": names[names.index(at) + 1]} for at in subs}, "end": {"kind": "end"}}}


def test_two_chains_may_swap_their_definitions() -> None:
    sync(a=outer("b"), b=ONE)
    for a, b in ((ONE, outer("a")), (outer("b"), ONE)):
        report = sync(a=a, b=b)
        assert sorted(names(report.updated)) == [f"chain work/{name}: version {chain(name).newest}" for name in "ab"]
    assert (chain("a").newest, chain("b").newest) == (3, 3)


def test_nesting_of_three_chains_may_be_turned_round() -> None:
    sync(a=outer("b", "c"), b=outer("c"), c=ONE)
    sync(a=ONE, b=outer("a"), c=outer("a", "b"))
    assert {chain(name).newest for name in "abc"} == {2}
    assert sync(a=ONE, b=outer("a"), c=outer("a", "b")) == Reconciled(SOURCE, unchanged=3)


def test_chains_that_contain_each_other_are_refused_with_the_place() -> None:
    sync(a=outer("b"), b=ONE)
    with pytest.raises(InvalidRequest, match="the chain would contain itself") as refused:
        sync(a=outer("b"), b=outer("a"))
    assert refused.value.field == "chains.b.steps.s0.chain"
    assert chain("b").newest == 1
