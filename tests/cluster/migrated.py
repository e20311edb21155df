"""The tables of a database server of a test's own: migrated once in each test process, copied from then on."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from timerproject.embedded.binaries import find

_dumps: list[str] = []
"""Of this test process: the tables as the migrations leave them."""


def make_tables(address: str, migrate: Callable[[], object]) -> None:
    """Make the tables of an empty database; `migrate` applies the migrations there."""
    programs = find()
    if _dumps:
        words = ["-X", "-q", "-1", "-v", "ON_ERROR_STOP=1", "-o", "/dev/null", "-d", address]
        subprocess.run([programs.program("psql"), *words], input=_dumps[0], text=True, check=True, capture_output=True)
        return
    migrate()
    with tempfile.TemporaryDirectory() as folder:
        to = Path(folder) / "tables.sql"
        subprocess.run([programs.program("pg_dump"), "-O", "-f", str(to), "-d", address], check=True)
        _dumps.append(to.read_text())
