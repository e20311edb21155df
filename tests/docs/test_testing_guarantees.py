"""The page on promises names tests that exist, and the harness's profiles as they are."""

from __future__ import annotations

import ast
import re

import pytest
from django.conf import settings

from tests.docs import snippets
from tests.torture.live.plan import NEMESES, PROFILES

PAGE = "docs/testing-guarantees.md"
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", snippets.page(PAGE))


def functions_of(file: str) -> set[str]:
    return {
        each.name
        for each in ast.walk(ast.parse((settings.BASE_DIR / file).read_text()))
        if isinstance(each, ast.FunctionDef)
    }


def test_every_test_that_is_named_exists() -> None:
    assert len(NAMED) >= 25
    assert not [(file, name) for file, name in NAMED if name not in functions_of(file)]


def rows_of(section: str) -> list[str]:
    """The rows of the table of a section, without its head."""
    text = snippets.page(PAGE).partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    return [line for line in text.splitlines() if line.startswith("| ")][1:]


@pytest.mark.parametrize(("section", "count"), [("Promises", 10), ("Faults", 35)])
def test_every_promise_and_every_fault_names_a_test(section: str, count: int) -> None:
    rows = rows_of(section)
    assert len(rows) >= count
    assert not [row for row in rows if "::test_" not in row]


def test_faults_are_said_in_words_and_each_fault_of_the_live_harness_is_listed() -> None:
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows_of("Faults")]
    numbers = [number for number, *_ in cells]
    assert numbers == sorted(set(numbers))
    assert all(len(fault.split()) >= 3 and len(holds.split()) >= 2 for _, fault, holds, _, _ in cells)
    assert {live.strip("`") for *_, live in cells if live} == set(NEMESES)


def test_lines_of_the_report_are_explained() -> None:
    explained = re.findall(r"`(\w+)`", " ".join(row.split("|")[1] for row in rows_of("How the report is read")))
    page = snippets.page("docs/torture-report.md").partition("```text\n")[2].partition("```")[0]
    words = {line.split()[0] for line in page.splitlines()[1:]}
    assert words <= set(explained)


def test_profiles_are_described_as_they_are() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", "\n".join(rows_of("How")), re.MULTILINE))
    assert set(rows) == set(PROFILES)
    for name, profile in PROFILES.items():
        length = f"{profile.storm:.0f} s" if profile.storm < 600 else f"{profile.storm / 60:.0f} minutes"
        assert rows[name].startswith(f"{length}, {profile.rate:.0f} ")
        assert f"{profile.nodes} nodes" in rows[name]
