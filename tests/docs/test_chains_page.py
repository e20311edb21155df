"""The page on job chains shows a definition that is one, and has every kind of step with every field."""

from __future__ import annotations

import json
import re

import pytest

from tests.docs import snippets
from timers import actions
from timers.domain.chains import Chain, parse_chain
from timers.domain.chains.steps import KINDS
from timers.domain.chains.steps.spec_field import fields_of

PAGE = snippets.page("docs/chains.md")


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
