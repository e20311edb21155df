"""The rules of cluster modes, as tables."""

from __future__ import annotations

from dataclasses import replace

import pytest

from timers.domain.cluster_modes import Lead, Member, NodeMode, clash, next_leader, successor
from timers.exceptions import InvalidRequest

MODES = {
    "shared": NodeMode(),
    "primary": NodeMode("exclusive"),
    "b1": NodeMode("backup", 1),
    "b2": NodeMode("backup", 2),
    "b1-manual": NodeMode("backup", 1, failback="manual"),
    "primary-hold": NodeMode("exclusive", on_stop="hold"),
}
IDS = {name: number for number, name in enumerate(["primary", "b1", "b2", "a", "b", "idle"], 1)}
STATES = {"": {}, "new": {"is_ready": False}, "drains": {"is_draining": True}, "idle": {"allow_execution": False}}


def member(words: str) -> Member:
    """From `name`, `name:state`, or `name:state:mode`."""
    name, state, mode = [*words.split(":"), "", ""][:3]
    return Member(IDS[name], name, MODES.get(mode or name, MODES["shared"]), **STATES[state])  # type: ignore[arg-type]


def members(words: str) -> list[Member]:
    return [member(each) for each in words.split()]


def led_by(name: str, **said: object) -> Lead:
    return replace(Lead(IDS.get(name), has_had_primary=True), **said)  # type: ignore[arg-type]


NEVER = Lead()
NOBODY = Lead(has_had_primary=True)
GONE = Lead(99, has_had_primary=True)


@pytest.mark.parametrize(
    ("live", "lead", "expected"),
    [
        # The primary leads; a backup that is first waits until a primary has been there once.
        ("primary", NEVER, "primary"),
        ("primary:new", NEVER, ""),
        ("b1 b2", NEVER, ""),
        ("primary b1", NEVER, "primary"),
        ("primary:new b1", NEVER, ""),
        # Takeover: the lowest live precedence that is ready.
        ("b1 b2", GONE, "b1"),
        ("b2 b1", GONE, "b1"),
        ("b1:new b2", GONE, "b2"),
        ("b1:drains b2", GONE, "b2"),
        ("b1 b2", NOBODY, "b1"),
        ("primary b1", GONE, "primary"),
        ("", GONE, ""),
        # A leader that lives keeps the lead, also while its heartbeat is late.
        ("primary b1", led_by("primary"), ""),
        ("primary:new b1", led_by("primary"), ""),
        # on_stop.
        ("primary:drains b1 b2", led_by("primary"), "b1"),
        ("primary:drains:primary-hold b1", led_by("primary"), ""),
        ("primary:drains b1:new", led_by("primary"), ""),
        ("b1 b2", replace(GONE, held_precedence=0), ""),
        ("primary b1", replace(GONE, held_precedence=0), "primary"),
        ("b1 b2", replace(GONE, held_precedence=1), "b1"),
        ("b2", replace(GONE, held_precedence=1), ""),
        # Failback.
        ("primary b1", led_by("b1"), "primary"),
        ("primary:new b1", led_by("b1"), ""),
        ("b1 b2", led_by("b2"), "b1"),
        ("primary b1::b1-manual", led_by("b1"), ""),
        ("primary b1", led_by("b1", is_pinned=True), ""),
        ("b2 b1", led_by("b1"), ""),
        # A node without execution never leads.
        ("idle:idle b2", GONE, "b2"),
    ],
)
def test_a_passive_partition_is_led_by(live: str, lead: Lead, expected: str) -> None:
    change = next_leader(members(live), lead)

    assert (change.to.name if change else "") == expected


@pytest.mark.parametrize(
    ("live", "lead", "expected"),
    [
        ("a b", NEVER, "a"),
        ("b a", NEVER, "a"),
        ("a:new b", NEVER, "b"),
        ("a:new b", led_by("a"), ""),
        ("a b", led_by("b"), ""),
        ("a b:drains", led_by("b"), "a"),
        ("b:drains", led_by("b"), ""),
        ("idle:idle b", NEVER, "b"),
        ("idle:idle", NEVER, ""),
        ("a", replace(GONE, held_precedence=0), "a"),
    ],
)
def test_lead_groups_of_a_distributed_partition_are_fired_by(live: str, lead: Lead, expected: str) -> None:
    change = next_leader(members(live), lead, has_lead_groups=True)

    assert (change.to.name if change else "") == expected


def test_a_distributed_partition_without_lead_groups_needs_no_leader() -> None:
    assert next_leader(members("a b"), NEVER) is None


@pytest.mark.parametrize(
    ("live", "lead", "has_gap"),
    [
        ("b1", GONE, True),
        ("primary", replace(GONE, held_precedence=0), True),
        ("primary b1", led_by("b1"), False),
        ("primary:drains b1", led_by("primary"), False),
    ],
)
def test_only_a_lead_that_nobody_had_leaves_a_gap(live: str, lead: Lead, has_gap: bool) -> None:
    change = next_leader(members(live), lead)

    assert change is not None
    assert change.has_gap == has_gap


@pytest.mark.parametrize(
    ("live", "lead", "to", "expected"),
    [
        ("primary b1 b2", led_by("primary"), "", "b1"),
        ("primary b1 b2", led_by("primary"), "b2", "b2"),
        ("primary b1 b2", led_by("b2"), "", "primary"),
        ("b1 b2", replace(GONE, held_precedence=0), "", "b1"),
        ("b1", NEVER, "", "b1"),
        ("a b", led_by("a"), "", "b"),
        ("a", led_by("a"), "", "no other node is ready to lead. Start one, or wait until it is ready."),
        ("primary b1", led_by("primary"), "x", "node x is not a live node of the partition. Use one of b1."),
        ("primary b1", led_by("primary"), "primary", "node primary leads already. Use one of b1."),
        (
            "primary b1:new b2", led_by("primary"), "b1",
            "node b1 is not ready to lead. Wait until it is active or standby, or use one of b2.",
        ),
    ],
)  # fmt: skip
def test_a_person_hands_the_lead_to(live: str, lead: Lead, to: str, expected: str) -> None:
    found = successor(members(live), lead, to)

    assert (found.name if isinstance(found, Member) else found) == expected


@pytest.mark.parametrize(
    ("joins", "live", "expected"),
    [
        ("shared", "a b", ""),
        ("primary", "b1 b2", ""),
        ("b1", "primary b2", ""),
        ("primary", "idle:idle", ""),
        ("shared", "", ""),
        (
            "primary", "a",
            "--mode: exclusive clashes with node a, which is distributed in partition default."
            " Use another --partition, or stop that node first.",
        ),
        (
            "shared", "b1",
            "--mode: distributed clashes with node b1, which is backup in partition default."
            " Use another --partition, or stop that node first.",
        ),
        (
            "primary", "primary b1",
            "--mode: partition default has an exclusive node, primary. Start this node with --mode backup"
            " --precedence 2, or wait until that node has stopped or is declared dead.",
        ),
        (
            "b1", "primary b1",
            "--precedence: 1 is taken by node b1 in partition default. Use another one, such as 2.",
        ),
    ],
)  # fmt: skip
def test_a_node_may_join_a_partition_or_is_told_why_not(joins: str, live: str, expected: str) -> None:
    assert clash("default", MODES[joins], True, members(live)) == expected


def test_a_node_without_execution_clashes_with_nobody() -> None:
    assert clash("default", NodeMode(), False, members("primary b1")) == ""


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("passive",), "--mode: unknown mode. Use one of distributed, exclusive, backup (given: 'passive')"),
        (("distributed", 1), "--precedence: has no meaning for --mode distributed. Leave it out (given: 1)"),
        (("distributed", None, "hold"), "--on-stop: has no meaning for --mode distributed. Leave it out"),
        (("distributed", None, None, "auto"), "--failback: has no meaning for --mode distributed. Leave it out"),
        (("exclusive", 1), "--precedence: is 0 for --mode exclusive. Leave it out (given: 1)"),
        (("backup",), "--precedence: is required for --mode backup. Use a number from 1 to 1,000, one for each backup"),
        (("backup", 0), "--precedence: is required for --mode backup. Use a number from 1 to 1,000"),
        (("backup", 1001), "--precedence: is required for --mode backup. Use a number from 1 to 1,000"),
    ],
)
def test_options_that_do_not_fit_the_mode_are_refused_in_words(options: tuple[str], problem: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        NodeMode.of(*options)

    assert str(refused.value).startswith(problem)


def test_a_passive_node_needs_workers() -> None:
    with pytest.raises(InvalidRequest, match="--mode: needs workers"):
        NodeMode.of("exclusive", allow_execution=False)


def test_a_mode_is_built_from_options() -> None:
    assert NodeMode.of() == NodeMode()
    assert NodeMode.of("exclusive", 0) == NodeMode("exclusive")
    assert NodeMode.of("backup", 3, "hold", "manual") == NodeMode("backup", 3, "hold", "manual")
