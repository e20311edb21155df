"""The page on job chains shows a definition that is one, and has every kind of step with every field."""

from __future__ import annotations

import json
import re

import pytest

from tests.docs import snippets
from timers import actions, chains
from timers.domain.chains import Chain, parse_chain
from timers.domain.chains.order import STATES
from timers.domain.chains.steps import KINDS
from timers.domain.chains.steps.spec_field import fields_of
from timers.handlers import handler
from timers.insights.one_order import SCHEDULED, STARTING
from timers.models import Timer

PAGE = snippets.page("docs/chains.md")


@pytest.mark.django_db
def test_examples_in_python_do_what_they_say() -> None:
    with snippets.handlers_of_its_own():
        for name in ("orders.fetch", "orders.notify"):
            handler(name)(lambda fire: {"total": 5})
        names = snippets.run("docs/chains.md")

    assert names["changes"] == [
        'step "fetch": next changed from notify to large',
        'step "large" added (choice)',
        'step "approve" added (approval)',
    ]
    assert list(names["at_steps"]) == ["fetch", "large", "approve", "notify", "end"]
    assert names["suspended"].done == []
    kinds = dict(Timer.objects.values_list("name", "schedule_kind"))
    assert kinds == {
        "order-4711": "once",
        "order-4712": "once",
        "every-night": "cron",
        "order-4713": "once",
        "order-4714": "once",
    }
    withdrawn = Timer.objects.exclude(state="active")
    assert list(withdrawn.values_list("name", "state")) == [("order-4714", "cancelled")]


def test_page_names_every_function_of_the_module() -> None:
    table = PAGE.partition("## In Python")[2].partition("| to | functions |")[2].partition("\n\n")[0]

    functions = {name for name in chains.__all__ if name.islower()}
    assert set(re.findall(r"`(\w+)`", table)) == functions


def test_page_has_every_state_of_an_order() -> None:
    table = PAGE.partition("| state | the order |")[2].partition("\n\n")[0]

    told = {name for row in re.findall(r"^\| (.+?) \|", table, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)}
    assert told == {*STATES, SCHEDULED, STARTING}


def test_definition_that_is_shown_is_one() -> None:
    (shown,) = snippets.blocks("docs/chains.md", "json")

    chain = parse_chain(json.loads(shown[0]), check_action=actions.parse)

    assert chain.start == "fetch"
    assert chain.finally_ == "clean"


def test_page_has_every_kind_of_step() -> None:
    table = PAGE.partition("| kind | what it does |")[2].partition("\n\n")[0]

    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == set(KINDS)


def test_page_has_every_field_of_a_chain() -> None:
    table = PAGE.partition("| field of the chain |")[2].partition("\n\n")[0]

    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == {*fields_of(Chain), "steps"}


@pytest.mark.parametrize("kind", KINDS)
def test_page_has_every_field_of_a_step(kind: str) -> None:
    general = PAGE.partition("## Step kinds")[2].partition("\n### ")[0]
    heading = next(each for each in re.findall(r"^### (.+)$", PAGE, re.MULTILINE) if kind in re.findall(r"\w+", each))
    section = PAGE.partition(f"\n### {heading}\n")[2].partition("\n### ")[0]
    rows = [row for row in section.splitlines() if re.match(r"\| `", row)]
    own = {
        name
        for row in rows
        for name in re.findall(r"`(\w+)`", row.split("|")[1])
        if not (only := re.search(r"\(([\w, ]+)\)", row.split("|")[1])) or kind in only[1].split(", ")
    }

    known = set(re.findall(r"`(\w+)`", general))
    assert set(fields_of(KINDS[kind])) <= own | known
    assert own <= set(fields_of(KINDS[kind]))
