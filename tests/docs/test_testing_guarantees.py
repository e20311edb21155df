"""The page on promises names tests that exist, and the harness's profiles as they are."""

from __future__ import annotations

import ast
import re

from django.conf import settings

from tests.docs import snippets
from tests.torture.live.plan import PROFILES

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


def test_every_promise_names_a_test() -> None:
    promises = snippets.page(PAGE).partition("\n## Promises\n")[2].partition("\n## ")[0]
    rows = [line for line in promises.splitlines() if line.startswith("| ")][1:]
    assert len(rows) >= 10
    assert not [row for row in rows if "::test_" not in row]


def test_profiles_are_described_as_they_are() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", snippets.page(PAGE), re.MULTILINE))
    assert set(rows) == set(PROFILES)
    for name, profile in PROFILES.items():
        length = f"{profile.storm:.0f} s" if profile.storm < 600 else f"{profile.storm / 60:.0f} minutes"
        assert rows[name].startswith(f"{length}, {profile.rate:.0f} ")
        assert f"{profile.nodes} nodes" in rows[name]
