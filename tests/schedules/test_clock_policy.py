"""The four policies on the two nights of Berlin in 2026: 2:00 to 3:00 on March 29, 3:00 back to 2:00 on October 25."""

from __future__ import annotations

from typing import Any

import pytest

from tests.schedules.fires import in_zone
from timers.exceptions import InvalidRequest
from timers.schedules import Schedule, parse

HALF_PAST_TWO: dict[str, dict[str, Any]] = {
    "cron": {"expression": "30 2 * * *"},
    "calendar": {"hour": "2", "minute": "30"},
}
EVERY_HALF_HOUR: dict[str, dict[str, Any]] = {
    "cron": {"expression": "*/30 * * * *"},
    "calendar": {"hour": "*", "minute": "*/30"},
}
KINDS = ("cron", "calendar")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ({}, "2026-03-28 02:30+01, 2026-03-29 03:00+02, 2026-03-30 02:30+02"),
        ({"gap": "run_after"}, "2026-03-28 02:30+01, 2026-03-29 03:00+02, 2026-03-30 02:30+02"),
        ({"gap": "skip"}, "2026-03-28 02:30+01, 2026-03-30 02:30+02, 2026-03-31 02:30+02"),
        ({"fold": "twice"}, "2026-03-28 02:30+01, 2026-03-29 03:00+02, 2026-03-30 02:30+02"),
    ],
)
def test_a_time_of_day_that_is_skipped_runs_after_the_gap_or_not_at_all(
    kind: str, policy: dict[str, str], expected: str
) -> None:
    assert in_zone(kind, {**HALF_PAST_TWO[kind], **policy}, "Europe/Berlin", "2026-03-28", 3) == expected


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ({}, "2026-10-24 02:30+02, 2026-10-25 02:30+02, 2026-10-26 02:30+01"),
        ({"fold": "once"}, "2026-10-24 02:30+02, 2026-10-25 02:30+02, 2026-10-26 02:30+01"),
        ({"fold": "twice"}, "2026-10-24 02:30+02, 2026-10-25 02:30+02, 2026-10-25 02:30+01"),
        ({"gap": "skip"}, "2026-10-24 02:30+02, 2026-10-25 02:30+02, 2026-10-26 02:30+01"),
    ],
)
def test_a_time_of_day_that_is_shown_twice_runs_once_or_twice(kind: str, policy: dict[str, str], expected: str) -> None:
    assert in_zone(kind, {**HALF_PAST_TWO[kind], **policy}, "Europe/Berlin", "2026-10-24", 3) == expected


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("policy", "spring", "autumn"),
    [
        ({}, "01:30+01, 03:00+02, 03:30+02", "02:00+02, 02:30+02, 02:00+01, 02:30+01, 03:00+01"),
        ({"gap": "run_after"}, "01:30+01, 03:00+02, 03:30+02", "02:00+02, 02:30+02, 02:00+01, 02:30+01, 03:00+01"),
        ({"fold": "once"}, "01:30+01, 03:00+02, 03:30+02", "02:00+02, 02:30+02, 03:00+01, 03:30+01, 04:00+01"),
    ],
)
def test_what_goes_on_through_the_hours_follows_the_clock_unless_it_is_told_otherwise(
    kind: str, policy: dict[str, str], spring: str, autumn: str
) -> None:
    spec = {**EVERY_HALF_HOUR[kind], **policy}
    in_march = in_zone(kind, spec, "Europe/Berlin", "2026-03-29T01:10", 3).replace("2026-03-29 ", "")
    in_october = in_zone(kind, spec, "Europe/Berlin", "2026-10-25T01:40", 5).replace("2026-10-25 ", "")
    assert (in_march, in_october) == (spring, autumn)


def test_a_quarter_past_only_runs_after_the_gap_when_it_was_skipped() -> None:
    spec = {"expression": "15 * * * *", "gap": "run_after"}
    assert in_zone("cron", spec, "Europe/Berlin", "2026-03-29T01:10", 3) == (
        "2026-03-29 01:15+01, 2026-03-29 03:00+02, 2026-03-29 03:15+02"
    )


def test_a_schedule_that_ends_in_a_fold_still_has_its_second_pass() -> None:
    spec = {"expression": "0 30 2 25 10 ? 2026", "fold": "twice"}
    assert in_zone("cron", spec, "Europe/Berlin", "2026-01-01", 3) == "2026-10-25 02:30+02, 2026-10-25 02:30+01"


@pytest.mark.parametrize("kind", KINDS)
def test_the_policy_is_part_of_the_spec_only_where_it_was_given(kind: str) -> None:
    def spec_of(**policy: Any) -> dict[str, Any]:
        schedule: Schedule = parse(kind, {**HALF_PAST_TWO[kind], **policy}, "Europe/Berlin")
        return {name: value for name, value in schedule.to_spec().items() if name in ("gap", "fold")}

    assert spec_of() == spec_of(gap=None, fold=None) == {}
    assert spec_of(gap="run_after") == {"gap": "run_after"}
    assert spec_of(gap="skip", fold="once") == {"gap": "skip", "fold": "once"}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("field", "given", "choices"),
    [
        ("gap", "before", "run_after .*or skip"),
        ("gap", "", "run_after .*or skip"),
        ("gap", True, "run_after .*or skip"),
        ("fold", "never", "once .*or twice"),
        ("fold", 2, "once .*or twice"),
        ("fold", ["once"], "once .*or twice"),
    ],
)
def test_any_other_policy_is_refused_with_those_that_there_are(kind: str, field: str, given: Any, choices: str) -> None:
    with pytest.raises(InvalidRequest, match=choices) as refused:
        parse(kind, {**HALF_PAST_TWO[kind], field: given})
    assert refused.value.field == field
