from __future__ import annotations

from datetime import timedelta

import pytest

from tests import factories
from timers import clock
from timers.insights.limits import limits_reached
from timers.models import RateState

pytestmark = pytest.mark.django_db


def test_a_group_at_its_limit_is_named_with_the_limit() -> None:
    group = factories.group("work", max_concurrency=2)
    factories.claim(factories.node(), factories.timer(in_group=group), 2)
    assert limits_reached([group]) == {
        (group.id, None): "its group work has 2 executions claimed, the most at once (max_concurrency)"
    }


def test_a_group_at_its_rate_is_named_with_it() -> None:
    group = factories.group("work", max_rate="1/min")
    RateState.objects.create(group=group, tat=clock.now() + timedelta(seconds=30))
    assert limits_reached([group]) == {(group.id, None): "its group work starts 1/min at most (max_rate)"}


def test_a_key_at_its_limit_is_named_with_it() -> None:
    group = factories.group("work", max_concurrency_per_key=1, max_rate_per_key="1/min", concurrency_key="payload.a")
    factories.claim(factories.node(), factories.timer(in_group=group), limit_key="acme")
    RateState.objects.create(group=group, key=":other", tat=clock.now() + timedelta(seconds=30))
    factories.claim(factories.node(), factories.timer(in_group=group), limit_key="")
    assert limits_reached([group]) == {
        (group.id, "acme"): "its key 'acme' in group work has 1 execution claimed, the most at once"
        " (max_concurrency_per_key)",
        (group.id, "other"): "its key 'other' in group work starts 1/min at most (max_rate_per_key)",
        (group.id, ""): "what has no key in group work has 1 execution claimed, the most at once"
        " (max_concurrency_per_key)",
    }


def test_a_limit_that_was_spoilt_by_hand_is_none() -> None:
    assert limits_reached([factories.group("work", max_rate="often")]) == {}


def test_groups_below_their_limits_are_missing() -> None:
    group = factories.group("work", max_concurrency=3)
    factories.claim(factories.node(), factories.timer(in_group=group), 2)
    assert limits_reached([group, factories.group("idle", max_concurrency=1)]) == {}


def test_groups_without_limits_cost_no_statement(django_assert_num_queries: object) -> None:
    group = factories.group("work")
    with django_assert_num_queries(0):  # type: ignore[operator]
        assert limits_reached([group]) == {}
