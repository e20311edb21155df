"""The page on the model names functions that exist, and every variant that is checked."""

from __future__ import annotations

import ast
import re

import pytest
from django.conf import settings

from formal import check
from tests.docs import snippets

PAGE = "docs/model.md"


def named(heading: str) -> list[tuple[str, str]]:
    """The files and functions that the tables under a heading name."""
    section = snippets.page(PAGE).partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(r"`(timers/[\w/]+\.py)(?:::([\w.]+))?`", section)


def defined(file: str) -> set[str]:
    """The functions of a module, those of classes with the name of the class."""
    found = set()
    for node in ast.parse((settings.BASE_DIR / file).read_text()).body:
        if isinstance(node, ast.FunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{each.name}" for each in node.body if isinstance(each, ast.FunctionDef)}
    return found


def test_functions_behind_the_steps_exist() -> None:
    steps = named("Claims") + named("Leadership") + named("Job chains")

    assert len(named("Claims")) >= 20
    assert not [pair for pair in steps if pair[1] and pair[1] not in defined(pair[0])]


def test_page_names_every_broken_variant_and_what_it_fails() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| .* \| `(\w+)` \|$", snippets.page(PAGE), re.MULTILINE))
    broken = {each.macros[-1]: each.caught_by for each in check.CHECKS if each.caught_by}

    assert set(rows) == set(broken)
    assert not [macro for macro, fails in rows.items() if fails not in broken[macro]]


@pytest.mark.parametrize("each", check.CHECKS, ids=lambda each: each.variant)
def test_every_variant_changes_the_model(each: check.Check) -> None:
    model = (check.HERE / f"{each.model}.pml").read_text()

    assert not [macro for macro in each.macros if not re.search(rf"\b{macro.partition('=')[0]}\b", model)]
    assert not [name for name in each.caught_by if name not in model]
