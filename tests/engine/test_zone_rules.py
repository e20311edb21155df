"""New time zone rules: who applies them, when, and what is told. No other tzdata is needed: its edition is patched."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from tests import factories
from timers import clock
from timers.engine import nodes
from timers.engine.zone_rules import EVENT, apply_zone_rules
from timers.models import ClusterEvent, Node, Timer, TimerGroup, ZoneRules
from timers.schedules import zones
from timers.scheduling import get_timer, schedule_cron, schedule_fixed_rate
from timers.testing import START, VirtualTime
from timers.testing.stepper import registration

Install = Callable[[str], None]

pytestmark = pytest.mark.usefixtures("group")


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Install:
    """Have this process work by the rules of an edition."""

    def installed(edition: str) -> None:
        monkeypatch.setattr(zones, "tzdata_version", lambda: f"{edition} (system)")

    installed("2026a")
    return installed


@pytest.fixture
def wrong(time: VirtualTime, group: TimerGroup) -> Timer:
    """A timer whose next fire is not what the present rules give."""
    schedule_cron("work", "nightly", expression="30 2 * * *", time_zone="Europe/Berlin")
    schedule_fixed_rate("work", "rate", period=60)
    Timer.objects.filter(name="nightly").update(next_fire_at=START + timedelta(hours=15))
    return get_timer("work", "nightly")


def is_mended(timer: Timer) -> bool:
    timer.refresh_from_db()
    return timer.next_fire_at == START + timedelta(hours=13, minutes=30)


def events() -> list[tuple[str, str]]:
    return list(ClusterEvent.objects.filter(kind=EVENT).order_by("id").values_list("node", "detail"))


def test_the_first_edition_is_noted_only(install: Install, wrong: Timer) -> None:
    assert apply_zone_rules("node-a") is None
    assert ZoneRules.objects.get().edition == "2026a"
    assert not is_mended(wrong)


def test_a_newer_edition_moves_timers_on_wall_clocks_once_and_is_told(install: Install, wrong: Timer) -> None:
    apply_zone_rules("node-a")
    install("2026b")
    applied = apply_zone_rules("node-b")
    assert applied is not None
    assert is_mended(wrong)
    assert events() == [("node-b", "2026a -> 2026b: 1 of 1 timers moved (work/nightly)")]
    row = ZoneRules.objects.get()
    assert (row.edition, row.timers_moved, row.applied_at) == ("2026b", 1, START)
    assert apply_zone_rules("node-c") is None


@pytest.mark.parametrize("edition", ["2026a", "2025b", "2025z", "unknown"])
def test_an_edition_that_is_not_newer_changes_nothing(install: Install, wrong: Timer, edition: str) -> None:
    apply_zone_rules("node-a")
    install(edition)
    assert apply_zone_rules("node-b") is None
    assert ZoneRules.objects.get().edition == "2026a"
    assert not is_mended(wrong)


def test_when_the_last_node_with_older_rules_has_gone_it_is_done_once_more(
    install: Install, wrong: Timer, time: VirtualTime
) -> None:
    apply_zone_rules("node-a")
    older = nodes.register(registration("older"))
    install("2026b")
    nodes.register(registration("newer"))
    apply_zone_rules("newer")
    Timer.objects.filter(id=wrong.id).update(next_fire_at=START + timedelta(hours=15))  # as the older node computes
    time.advance(60)
    assert apply_zone_rules("newer") is None
    nodes.set_stopped(older.id, older.name)
    assert apply_zone_rules("newer") is not None
    assert is_mended(wrong)
    assert apply_zone_rules("newer") is None
    assert [detail for _, detail in events()] == [
        "2026a -> 2026b: 1 of 1 timers moved (work/nightly)",
        "2026b once more: 1 of 1 timers moved (work/nightly)",
    ]


def test_a_node_publishes_the_edition_of_its_rules(install: Install) -> None:
    nodes.register(registration("node-a"))
    assert Node.objects.get().zone_rules == "2026a"


@pytest.mark.parametrize(
    ("edition", "than", "newer"),
    [
        ("2026a", "2025b", True),
        ("2025b", "2026a", False),
        ("2026b", "2026a", True),
        ("2026a", "2026a", False),
        ("2026aa", "2026z", True),
        ("2026a", "unknown", True),
        ("unknown", "2026a", False),
        ("unknown", "unknown", False),
    ],
)
def test_editions_are_ordered_by_year_and_letter(edition: str, than: str, newer: bool) -> None:
    assert zones.is_newer_edition(edition, than) is newer


def test_timers_of_a_thousand_names_are_moved_in_batches(install: Install, group: TimerGroup) -> None:
    apply_zone_rules("node-a")
    now = clock.now()
    Timer.objects.bulk_create(
        Timer(
            group=group, name=f"t{number:04}", schedule_kind="cron", schedule={"expression": "30 2 * * *"},
            time_zone="Europe/Berlin", next_fire_at=now + timedelta(hours=1), created_at=now, updated_at=now,
        )
        for number in range(1200)
    )  # fmt: skip
    install("2026b")
    applied = apply_zone_rules("node-a")
    assert applied is not None
    assert applied.words.startswith("2026a -> 2026b: 1,200 of 1,200 timers moved (work/t0000, ")
    assert set(Timer.objects.values_list("next_fire_at", flat=True)) == {START + timedelta(hours=13, minutes=30)}


def test_while_another_node_is_at_it_it_is_left_to_that_node(
    install: Install, wrong: Timer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert factories.node("other")  # rows of nodes that do not say their edition count for nothing
    apply_zone_rules("node-a")
    install("2026b")
    monkeypatch.setattr("timers.engine.zone_rules.one_at_a_time", _taken)
    assert apply_zone_rules("node-b") is None
    assert not is_mended(wrong)


class _taken:  # noqa: N801 - stands for a function
    def __init__(self, work: str) -> None: ...

    def __enter__(self) -> bool:
        return False

    def __exit__(self, *error: object) -> None: ...
