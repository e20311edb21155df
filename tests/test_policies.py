from __future__ import annotations

from typing import Any

import pytest

from timers.exceptions import SpecError
from timers.policies import OVERRIDABLE, Policies, Retry, overridden


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
    with pytest.raises(SpecError) as refused:
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
    with pytest.raises(SpecError) as refused:
        Policies().with_overrides(
            {"misfire_policy": [], "attempt_timeout": 0, "retry": {"jitter": 9}, "on_finish": None}
        )
    assert {problem.field for problem in refused.value.problems} == {
        "misfire_policy", "attempt_timeout", "retry.jitter", "on_finish",
    }  # fmt: skip


def test_overrides_of_rows_are_read_from_their_text() -> None:
    assert overridden(Policies(), '{"misfire_grace": 7}').misfire_grace == 7
    for text in ("[1]", "{", '{"nix": 1}', '"x"', "5"):
        with pytest.raises((SpecError, ValueError)):
            overridden(Policies(), text)
