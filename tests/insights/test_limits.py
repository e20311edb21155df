from __future__ import annotations

import pytest

from tests import factories
from timers.insights.limits import limits_reached

pytestmark = pytest.mark.django_db


def test_a_group_at_its_limit_is_named_with_the_limit() -> None:
    group = factories.group("work", max_concurrency=2)
    factories.claim(factories.node(), factories.timer(in_group=group), 2)
    assert limits_reached([group]) == {
        group.id: "its group work has 2 executions claimed, the most at once (max_concurrency)"
    }


def test_groups_below_their_limits_are_missing() -> None:
    group = factories.group("work", max_concurrency=3)
    factories.claim(factories.node(), factories.timer(in_group=group), 2)
    assert limits_reached([group, factories.group("idle", max_concurrency=1)]) == {}


def test_groups_without_limits_cost_no_statement(django_assert_num_queries: object) -> None:
    group = factories.group("work")
    with django_assert_num_queries(0):  # type: ignore[operator]
        assert limits_reached([group]) == {}
