from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from timers.exceptions import InvalidRequest
from timers.schedules import KINDS, parse, parse_text

SPECS: list[tuple[str, dict[str, Any]]] = [
    ("once", {"at": "2026-11-20T15:00:27Z"}),
    ("fixed_rate", {"period": 0.1, "anchor": "2026-11-20T15:00:27Z"}),
    ("fixed_delay", {"delay": 5}),
    ("cron", {"expression": "30 2 * * *"}),
    ("calendar", {"hour": "14", "day_of_month": "Last Thu"}),
    ("window", {"begin": "22:00", "end": "02:00", "every": 1800, "weekdays": ["mon", "sun"]}),
    ("rrule", {"rule": "FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=17", "start": "2026-11-20T09:00:00", "fold": "twice"}),
]


def test_every_kind_is_registered_under_its_own_name() -> None:
    assert {kind: schedule.kind for kind, schedule in KINDS.items()} == {kind: kind for kind, _ in SPECS}


@pytest.mark.parametrize(("kind", "spec"), SPECS)
def test_a_spec_as_text_is_the_same_schedule(kind: str, spec: dict[str, Any]) -> None:
    assert parse_text(kind, json.dumps(spec), "Europe/Berlin") == parse(kind, spec, "Europe/Berlin")


@pytest.mark.parametrize(("kind", "spec"), SPECS)
def test_a_canonical_spec_comes_back_unchanged(kind: str, spec: dict[str, Any]) -> None:
    assert parse(kind, spec, "Europe/Berlin").to_spec() == spec


@pytest.mark.parametrize(("kind", "spec"), SPECS)
def test_a_schedule_is_a_frozen_value_that_can_be_a_key(kind: str, spec: dict[str, Any]) -> None:
    schedule = parse(kind, spec, "Europe/Berlin")
    assert {schedule: 1}[parse(kind, dict(spec), "Europe/Berlin")] == 1
    assert not hasattr(schedule, "__dict__")
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(schedule, schedule.__match_args__[0], None)  # type: ignore[attr-defined]


def test_only_recurring_schedules_are_remembered() -> None:
    rate, once = json.dumps(SPECS[1][1]), json.dumps(SPECS[0][1])
    assert parse_text("fixed_rate", rate, "UTC") is parse_text("fixed_rate", rate, "UTC")
    assert parse_text("once", once, "UTC") is not parse_text("once", once, "UTC")


@pytest.mark.parametrize("kind", ["", "Cron", "weekly", None, 5, ["cron"], {}])
def test_an_unknown_kind_is_refused_with_those_that_there_are(kind: Any) -> None:
    with pytest.raises(InvalidRequest, match="must be one of once, fixed_rate, fixed_delay, cron") as refused:
        parse(kind, {})
    assert refused.value.field == "schedule_kind"
    with pytest.raises(InvalidRequest, match="must be one of"):
        parse_text(kind, "{}", "UTC")


@pytest.mark.parametrize(
    "text", ["", "{", "nonsense", "[" * 5_000 + "]" * 5_000, '{"at": ' + "9" * 5_000 + "}", "[]", '"once"', "null", "1"]
)
def test_a_text_that_is_no_json_object_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse_text("once", text, "UTC")
    assert refused.value.field in ("schedule", "at")


@pytest.mark.parametrize(
    ("kind", "text", "field"),
    [
        ("fixed_rate", '{"period": 1e131071, "anchor": "2026-11-20T15:00:27Z"}', "period"),
        ("fixed_rate", '{"period": NaN, "anchor": "2026-11-20T15:00:27Z"}', "period"),
        ("fixed_rate", '{"period": {"a": 1e131071}, "anchor": "2026-11-20T15:00:27Z"}', "period"),
        ("once", '{"at": "\\ud800"}', "at"),
        ("cron", '{"expression": "\\u0000"}', "expression"),
        ("cron", '{"expression": 5}', "expression"),
    ],
)
def test_a_poisoned_text_is_refused_by_field(kind: str, text: str, field: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse_text(kind, text, "UTC")
    assert refused.value.field == field


def test_every_mistake_in_the_fields_is_named_at_once() -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse("fixed_rate", {"every": 5, "from": "now"})
    assert [problem.field for problem in refused.value.problems] == ["period", "anchor", "every", "from"]


@pytest.mark.parametrize(
    ("kind", "spec", "fields"),
    [
        ("once", {"at": "now"}, ["at"]),
        ("fixed_rate", {"period": 0, "from": 1}, ["anchor", "from", "period"]),
        ("fixed_delay", {"delay": "5m"}, ["delay"]),
        ("cron", {"expression": "61 * * * *", "gap": "x", "fold": "y"}, ["expression", "gap", "fold"]),
        ("calendar", {"hour": "25", "gap": "x", "day": 1}, ["day", "hour", "gap"]),
        ("window", {"begin": "25:00", "every": 0, "weekdays": "mon"}, ["end", "begin", "every", "weekdays"]),
        ("rrule", {"rule": "FREQ=OFTEN", "start": "now"}, ["start", "rule"]),
    ],
)
def test_no_mistake_hides_another_nor_the_zones(kind: str, spec: dict[str, Any], fields: list[str]) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse(kind, spec, "Europe/Berln")
    found = [problem.field for problem in refused.value.problems]
    assert "time_zone" in found
    assert [field for field in found if field != "time_zone"] == fields
