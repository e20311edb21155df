from __future__ import annotations

from datetime import UTC, datetime

import pytest

from timers.domain.errors import ErrorCollector
from timers.schedules import KINDS, Schedule, parse
from timers.schedules.kinds import Context, all_keywords, keywords_of, kinds_of_keywords, list_from_text, number_or_text
from timers.schedules.kinds import register as register_kind


@pytest.mark.parametrize("kind", KINDS.values())
def test_example_of_each_kind_is_valid_and_uses_its_keywords(kind: type[Schedule]) -> None:
    mistakes = ErrorCollector()
    context = Context("group", "name", "Europe/Berlin", None, datetime(2027, 1, 1, tzinfo=UTC), mistakes)
    schedule = parse(kind.kind, kind.spec_from(kind.example, context), "Europe/Berlin")
    mistakes.raise_if_any()
    assert isinstance(schedule, kind)
    assert kind.example.keys() <= keywords_of(kind.kind)
    assert {keyword.name for keyword in kind.keywords if keyword.is_required} <= kind.example.keys()


def test_two_kinds_of_one_name_are_refused() -> None:
    class Second(KINDS["cron"]):  # type: ignore[misc]
        pass

    with pytest.raises(ValueError, match="two kinds of schedules have the name cron"):
        register_kind(Second)


def test_keywords_that_several_kinds_share_belong_to_none_and_come_last() -> None:
    names = [keyword.name for keyword in all_keywords()]
    assert names[:2] == ["at", "after"]
    assert names[-2:] == ["gap", "fold"]
    assert kinds_of_keywords()["period"] == "fixed_rate"
    assert not {"gap", "fold"} & kinds_of_keywords().keys()
    assert keywords_of("no kind") == frozenset()


@pytest.mark.parametrize(("text", "value"), [("60", 60), ("2.5", 2.5), ("PT1M", "PT1M")])
def test_typed_numbers_are_seconds_and_other_text_is_kept(text: str, value: object) -> None:
    assert number_or_text(text) == value


def test_typed_lists_are_split_at_commas() -> None:
    assert list_from_text("mon, tue,") == ["mon", "tue"]
