"""The page on http actions says what is so."""

from __future__ import annotations

import json
import re

import pytest

from tests.docs import snippets
from timers.actions.http import TIMEOUT, HttpAction
from timers.actions.http_auth import KINDS
from timers.conf import table
from timers.handlers import Fire
from timers.models import Timer, TimerGroup
from timers.testing import Stepper, VirtualTime

PAGE = "docs/http.md"


@pytest.mark.django_db
def test_the_examples_run_and_call_what_they_say() -> None:
    node = Stepper(VirtualTime())
    seen: list[tuple[HttpAction, Fire]] = []

    def answer(action: HttpAction, fire: Fire) -> int:
        seen.append((action, fire))
        return 200

    node.answer = answer
    names = snippets.run(PAGE)

    node.advance(days=1)

    assert Timer.objects.get().name == "nightly"
    ((action, fire),) = seen
    assert action.sends_envelope
    assert fire.payload == {"order": 4711}
    assert HttpAction.parse(names["order"]).content is not None
    assert TimerGroup.objects.count() == 2


def test_every_option_is_in_the_table() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \|", snippets.page(PAGE).partition("## The options")[2].partition("\n### ")[0], re.M
    )

    with pytest.raises(Exception, match="an http action has") as refused:
        HttpAction.parse({"url": "https://example.org/", "xyzzy": 1})
    known = re.findall(r"\w+", str(refused.value).partition("an http action has ")[2])
    assert sorted(rows) == sorted(known)


def test_the_forms_of_auth_are_those_that_there_are() -> None:
    row = snippets.page(PAGE).partition("| `auth` |")[2].partition("\n")[0]
    forms = re.findall(r'`(\{"kind".*?\})`', row)
    shown = [json.loads(form.replace("name}", '"n"}').replace("...", '"u"')) for form in forms]

    assert {form["kind"]: tuple(key for key in form if key != "kind") for form in shown} == KINDS


def test_the_settings_and_limits_are_those_that_there_are() -> None:
    text = snippets.page(PAGE)

    assert not set(re.findall(r"TIMERS_\w+", text)) - set(table.BY_NAME)
    assert f"| {TIMEOUT:g}, or the group's" in text
