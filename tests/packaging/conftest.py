"""A Django project of its own, in which the built wheel of the app is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest
from django.conf import settings
from django.db import connection
from psycopg import sql

ROOT = Path(settings.BASE_DIR)


@dataclass
class Host:
    """The project: its folder, the packages it has beyond those of this environment, and its database."""

    folder: Path
    packages: Path
    database: str
    timers_in: str = "default"
    """Which database of the project holds the timers: its default one, or a second one beside SQLite."""
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def notes(self) -> Path:
        """The file that its handler writes to."""
        return self.folder / "notes"

    def manage(self, *words: str) -> str:
        """Run one of its commands; returns what it prints."""
        done = self._run(*words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def refusal(self, *words: str) -> str:
        """Run one of its commands, which must fail; returns its error output."""
        done = self._run(*words)
        assert done.returncode != 0, done.stdout
        return done.stderr

    def migrate(self) -> None:
        """Create the tables of the project, and those of the timers."""
        self.manage("migrate", "-v", "0")
        if self.timers_in == "second":
            self.manage("migrate", "-v", "0", "--database", "timers")

    def python(self, script: str) -> str:
        """Run Python code in the project; returns what it prints."""
        return self.manage("shell", "-v", "0", "-c", script)

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        """Start a command in the background."""
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "manage.py", *words],
                cwd=self.folder, env=self._environment, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    @property
    def _environment(self) -> dict[str, str]:
        server = connection.settings_dict
        foreign = ("DATABASE_URL", "SECRET_KEY", "DJANGO_SETTINGS_MODULE")
        kept = {k: v for k, v in os.environ.items() if k not in foreign and not k.startswith("TIMERS_")}
        return {
            **kept,
            "PGHOST": str(server["HOST"]),
            "PGPORT": str(server["PORT"]),
            "PGUSER": str(server["USER"]),
            "SHOP_DATABASE": self.database,
            "SHOP_TIMERS_IN": self.timers_in,
            "SHOP_NOTES": str(self.notes),
            "PYTHONPATH": str(self.packages),
            **self.environment,
        }

    def _run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "manage.py", *words],
            cwd=self.folder, env=self._environment, capture_output=True, text=True, timeout=120,
        )  # fmt: skip


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of the app, built from a copy of what is checked in and changed here."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    shutil.copytree(ROOT / "timers", source / "timers", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    _pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(source))
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def packages(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of packages in which the wheel is installed; what it depends on is in this environment."""
    folder = tmp_path_factory.mktemp("packages")
    _pip("install", "--no-deps", "--target", str(folder), str(wheel))
    return folder


@pytest.fixture(params=["default", "second"])
def host(request: pytest.FixtureRequest, packages: Path, tmp_path: Path, db: None) -> Iterator[Host]:
    """The project with an empty database of its own, whose nodes and commands know nothing of this repository.

    Once with the timers in its only database, once in a second one.
    """
    folder = tmp_path / "host"
    shutil.copytree(Path(__file__).parent / "host", folder, ignore=shutil.ignore_patterns("__pycache__"))
    name = f"test_host_{uuid.uuid4().hex[:12]}"
    server = connection.settings_dict
    address = psycopg.conninfo.make_conninfo(
        host=server["HOST"], port=server["PORT"], user=server["USER"], dbname="postgres"
    )
    with psycopg.connect(address, autocommit=True) as session:
        session.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield Host(folder, packages, name, request.param)
        finally:
            session.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def _pip(*words: str) -> None:
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *words]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
