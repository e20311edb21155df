"""What a linter does not know of: how files are named and how long they are."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings

LONGEST = 400
EMPTY_NAMES = {"utils", "util", "common", "helpers", "helper", "manager", "managers", "misc"}


def sources() -> list[Path]:
    return [
        path
        for folder in ("timers", "timerproject", "clients", "tests", "benchmarks", "formal")
        for path in (settings.BASE_DIR / folder).rglob("*.py")
        if "migrations" not in path.parts
    ]


def test_no_file_grows_beyond_one_job() -> None:
    assert not [f"{path} has {lines}" for path in sources() if (lines := len(path.read_text().splitlines())) > LONGEST]


def test_every_file_is_named_after_its_job() -> None:
    assert not [path for path in sources() if EMPTY_NAMES & {path.stem, path.parent.name}]
