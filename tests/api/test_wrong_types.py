"""Values of a wrong type, for every keyword: what the description says is taken, all else is refused by its name."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema_rs import is_valid

from tests.api.asking import Asking, fields, problem
from timers.api.timer_body import OWN, SHARED
from timers.exceptions import InvalidRequest
from timers.models import Timer
from timers.schedules.kinds import KINDS, keywords_of
from timers.scheduling import preview_timer, schedule_timer, update_timer

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("billing")]

TIMERS = "/groups/billing/timers"
ODD: tuple[Any, ...] = ("", 0, False, [], {}, None, 1.5)
NEEDED: dict[str, dict[str, Any]] = {
    "once": {"after": 60},
    "fixed_rate": {"period": 60},
    "fixed_delay": {"delay": 60},
    "cron": {"expression": "30 2 * * *"},
    "calendar": {"hour": 2},
    "window": {"begin": "13:00", "end": "15:00", "every": 60},
    "rrule": {"rule": "FREQ=DAILY"},
}
KEYWORDS = [
    *(("fixed_rate", word, schema) for word, schema in SHARED.items()),
    *(("cron", word, schema) for word, schema in SHARED.items()),
    ("fixed_rate", "kind", {"enum": list(KINDS)}),
    *((kind, word, schema) for kind, own in OWN.items() for word, schema in own.items()),
]
CASES = [
    pytest.param(kind, word, schema, value, id=f"{kind}-{word}-{json.dumps(value)}")
    for kind, word, schema in KEYWORDS
    for value in ODD
]


def refused(response: Any) -> set[str]:
    """The fields that a refusal names; none where it was taken."""
    if response.status_code < 300:
        return set()
    return {name.partition(".")[0] for name in fields(problem(response, 422, "invalid"))}


def refused_by(call: Any, *args: Any, **keywords: Any) -> set[str]:
    """The same of a call of the Python API."""
    try:
        call(*args, **keywords)
    except InvalidRequest as error:
        return {each.field.partition(".")[0] for each in error.problems}
    return set()


def allowed(kind: str, word: str, schema: dict[str, Any], value: Any) -> list[set[str]]:
    """The fields that may be named by a refusal."""
    if word in keywords_of(kind) and value is None:
        # As though it were not given; one of the two of `once` must be.
        if kind == "once":
            return [set(), {"at"}]
        return [set() if kind == "calendar" or word not in NEEDED[kind] else {word}]
    may_be_taken = is_valid(schema, value) and (word, value) not in (("time_zone", ""), ("handler", ""))
    return [set(), {word}] if may_be_taken else [{word}]


@pytest.mark.parametrize(("kind", "word", "schema", "value"), CASES)
def test_a_keyword_takes_what_the_description_says_or_is_refused_by_its_name(
    kind: str, word: str, schema: dict[str, Any], value: Any, api: Asking
) -> None:
    asked = {"kind": kind, **NEEDED[kind], word: value}
    api.post(TIMERS, {"kind": kind, **NEEDED[kind], "name": "there"})
    before = api.get(f"{TIMERS}/there")
    named = [
        refused(api("POST", TIMERS, {**asked, "name": "a"})),
        refused(api("POST", "/schedules/preview", {**asked, "group": "billing"})),
        refused_by(schedule_timer, {**asked, "group": "billing", "name": "b"}),
        refused_by(preview_timer, "billing", "c", **asked),
        refused(api("PATCH", f"{TIMERS}/there", {word: value})),
        refused_by(update_timer, "billing", "there", **{word: value}),
    ]
    assert all(each in allowed(kind, word, schema, value) for each in named), named
    if set() not in named:
        assert api.get(f"{TIMERS}/there")["version"] == before["version"]
        assert Timer.objects.count() == 1


@pytest.mark.parametrize("word", ["name", "group", "on_conflict", "colour"])
@pytest.mark.parametrize("value", ODD, ids=json.dumps)
def test_a_name_or_a_word_that_is_none_is_refused_by_its_field(word: str, value: Any, api: Asking) -> None:
    assert refused(api("POST", TIMERS, {"kind": "once", "after": 60, "name": "a", word: value})) == {word}
    assert not Timer.objects.exists()


def test_a_handler_and_an_action_are_not_given_together(api: Asking) -> None:
    action = {"kind": "python", "handler": "timerbench.noop"}
    both = {"handler": "timerbench.noop", "action": action}
    assert refused(api("POST", TIMERS, {"kind": "once", "after": 60, "name": "a", **both})) == {"handler"}
    api.post(TIMERS, {"kind": "once", "after": 60, "name": "a", "action": action})
    assert refused(api("PATCH", f"{TIMERS}/a", both)) == {"handler"}
    assert refused(api("PATCH", f"{TIMERS}/a", {"handler": "timerbench.noop"})) == set()
