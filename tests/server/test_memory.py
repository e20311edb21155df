"""Servers are remembered by the process and, in a file, by the machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from timers.server import memory
from timers.server.identity import Remembered

ADDRESS = "db-1,db-2:5432/timers"
PROMOTED = Remembered("7001", 2)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path) -> Iterator[Path]:
    before = memory._folder
    kept = tmp_path / "var"
    memory.keep_in(kept)
    memory.forget()
    yield kept
    memory.keep_in(before)
    memory.forget()


def test_a_process_that_starts_anew_remembers_by_the_file(folder: Path) -> None:
    memory.remember(ADDRESS, PROMOTED)
    memory.forget()
    assert memory.recall(ADDRESS) == PROMOTED
    assert memory.recall("elsewhere:5432/timers") is None
    assert len(list(folder.iterdir())) == 1


def test_what_another_process_has_learned_since_counts() -> None:
    memory.remember(ADDRESS, Remembered("7001", 1))
    memory._write(ADDRESS, PROMOTED)
    assert memory.recall(ADDRESS) == PROMOTED
    memory._write(ADDRESS, Remembered("7002", 1, 1))
    assert memory.recall(ADDRESS) == Remembered("7002", 1, 1)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"timeline": 1}', '{"acceptance": null}'])
def test_a_file_that_cannot_be_read_is_no_obstacle(folder: Path, content: str) -> None:
    memory.remember(ADDRESS, PROMOTED)
    (file,) = folder.iterdir()
    file.write_text(content)
    assert memory.recall(ADDRESS) == PROMOTED
    memory.forget()
    assert memory.recall(ADDRESS) is None


def test_where_nothing_can_be_kept_the_process_remembers_alone(tmp_path: Path) -> None:
    blocked = tmp_path / "a file"
    blocked.touch()
    memory.keep_in(blocked / "below")
    memory.remember(ADDRESS, PROMOTED)
    assert memory.recall(ADDRESS) == PROMOTED
