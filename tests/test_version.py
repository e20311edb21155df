"""One version, in one place: timers/version.py; the change log begins with it."""

from __future__ import annotations

import re
import tomllib

from django.conf import settings

from timers.version import VERSION


def test_the_change_log_begins_with_this_version() -> None:
    newest = re.search(r"^## \[(.+?)\]", (settings.BASE_DIR / "CHANGELOG.md").read_text(), re.MULTILINE)

    assert newest is not None
    assert newest[1] == VERSION


def test_the_project_file_names_no_version_of_its_own() -> None:
    project = tomllib.loads((settings.BASE_DIR / "pyproject.toml").read_text())["project"]

    assert "version" in project["dynamic"]
    assert "version" not in project


def test_the_version_is_a_semantic_one() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", VERSION)
