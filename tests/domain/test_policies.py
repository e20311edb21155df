from __future__ import annotations

import json
from typing import Any

import pytest

from timers.domain.limits import LIMITS
from timers.domain.policies import OVERRIDABLE, Policies, Retry, checked_overrides, overridden
from timers.exceptions import InvalidRequest


def test_the_wait_doubles_up_to_the_longest() -> None:
    retry = Retry(min_backoff=120, max_backoff=600)
    assert [retry.wait_before(n) for n in range(1, 7)] == [120, 240, 480, 600, 600, 600]
    assert retry.wait_before(1000) == 600


def test_no_backoff_is_no_wait() -> None:
    assert Retry(min_backoff=0, max_backoff=0).wait_before(1000) == 0


def test_delays_are_followed_and_the_last_repeats() -> None:
    retry = Retry.parse({"delays": [5, 0, 60.5]})
    assert [retry.wait_before(n) for n in range(1, 6)] == [5, 0, 60.5, 60.5, 60.5]


def test_jitter_stays_within_its_fraction_on_both_sides() -> None:
    retry = Retry(min_backoff=100, max_backoff=100, jitter=0.1)
    waits = [retry.wait_before(1) for _ in range(2000)]
    assert 90 <= min(waits) < 92
    assert 108 < max(waits) <= 110


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"max_retries": -1}, "retry.max_retries"),
        ({"max_retries": 1001}, "retry.max_retries"),
        ({"max_retries": 1.5}, "retry.max_retries"),
        ({"max_retries": True}, "retry.max_retries"),
        ({"min_backoff": -1}, "retry.min_backoff"),
        ({"min_backoff": float("nan")}, "retry.min_backoff"),
        ({"max_backoff": float("inf")}, "retry.max_backoff"),
        ({"max_backoff": "1m"}, "retry.max_backoff"),
        ({"max_backoff": True}, "retry.max_backoff"),
        ({"max_backoff": "PT8785H"}, "retry.max_backoff"),
        ({"min_backoff": 700}, "retry.max_backoff"),
        ({"jitter": 1.1}, "retry.jitter"),
        ({"delays": 5}, "retry.delays"),
        ({"delays": [1, -1]}, "retry.delays"),
        ({"delays": ["1"]}, "retry.delays"),
        ({"max_retrys": 1}, "retry.max_retrys"),
        ([], "retry"),
        (None, "retry"),
        ("often", "retry"),
    ],
)
def test_a_retry_policy_that_makes_no_sense_is_refused_by_field(spec: Any, field: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        Retry.parse(spec)
    assert refused.value.field == field


@pytest.mark.parametrize("spec", [{}, {"max_retries": 0}, {"delays": [1, 2.5]}, {"jitter": 0.5, "min_backoff": 1}])
def test_a_retry_policy_comes_back_from_its_json(spec: dict[str, Any]) -> None:
    assert Retry.parse(Retry.parse(spec).to_spec()) == Retry.parse(spec)


def test_overrides_replace_what_they_name_and_keep_the_rest() -> None:
    group = Policies(misfire_grace=5, on_failed="drop")
    own = group.with_overrides({"overlap_policy": "allow", "retry": {"max_retries": 1}})
    assert (own.misfire_grace, own.on_failed, own.overlap_policy, own.retry.max_retries) == (5, "drop", "allow", 1)
    assert group.overlap_policy == "skip"


def test_every_policy_can_be_overridden() -> None:
    defaults = Policies()
    for name in OVERRIDABLE:
        value = getattr(defaults, name)
        assert defaults.with_overrides({name: value.to_spec() if name == "retry" else value}) == defaults


def test_all_mistakes_of_overrides_are_told() -> None:
    with pytest.raises(InvalidRequest) as refused:
        Policies().with_overrides(
            {"misfire_policy": [], "attempt_timeout": 0, "retry": {"jitter": 9}, "on_finish": None}
        )
    assert {problem.field for problem in refused.value.problems} == {
        "misfire_policy", "attempt_timeout", "retry.jitter", "on_finish",
    }  # fmt: skip


@pytest.mark.parametrize("name", sorted(LIMITS.keys() - {"concurrency_key"}))
def test_limits_of_a_group_are_not_overridden(name: str) -> None:
    with pytest.raises(
        InvalidRequest, match=r"limits all timers of a group together.*concurrency_key of its own"
    ) as error:
        checked_overrides({name: 1, "misfire_policy": "skip"})
    assert error.value.field == name


def test_overrides_of_rows_are_read_from_their_text() -> None:
    assert overridden(Policies(), '{"misfire_grace": 7}').misfire_grace == 7
    for text in ("[1]", "{", '{"nix": 1}', '"x"', "5"):
        with pytest.raises((InvalidRequest, ValueError)):
            overridden(Policies(), text)


def test_durations_may_be_iso_text_and_are_kept_in_seconds() -> None:
    given = {"attempt_timeout": "PT1M30S", "max_lateness": None, "misfire_grace": 0.25}
    retry = {"min_backoff": "PT1M", "max_backoff": "PT1H", "delays": ["PT5S", 7, "PT0.5S"]}
    assert checked_overrides({**given, "retry": retry}) == {
        "attempt_timeout": 90,
        "max_lateness": None,
        "misfire_grace": 0.25,
        "retry": {"min_backoff": 60, "max_backoff": 3600, "delays": [5, 7, 0.5]},
    }


def test_overrides_are_kept_without_what_was_not_given() -> None:
    given: dict[str, Any] = {"retry": {"max_retries": 1}, "exclusion_calendars": ["bank"]}
    assert json.loads(json.dumps(checked_overrides(given))) == given


def test_an_unknown_policy_hides_no_other_mistake() -> None:
    with pytest.raises(InvalidRequest) as refused:
        Policies().with_overrides({"retrry": {}, "retry": {"max_retrys": 1, "jitter": 2}, "max_queued": True})
    found = {problem.field: problem.message for problem in refused.value.problems}
    assert set(found) == {"retrry", "retry.max_retrys", "retry.jitter", "max_queued"}
    assert found["retry.max_retrys"] == "is not known; did you mean max_retries?"
