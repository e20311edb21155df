"""The wheel under every Python of this machine and every Django that it supports: `make compat`.

    python -m tests.packaging.compat [--python 3.12] [--django 6.1]

Each combination gets a virtual environment of its own and the project of this folder: `check`, `migrate`, and a handler
that a node runs. Pythons that are not on this machine are named. Exit code 1: a combination failed.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import psycopg

from timerproject.embedded.folder import DATABASE, PORT, USER, Folder
from timerproject.embedded.server import EmbeddedServer

ROOT: Final = Path(__file__).resolve().parents[2]
FOLDER: Final = ROOT / os.environ.get("TIMERS_VAR", "var") / "compat"
PYTHONS: Final = ("3.11", "3.12", "3.13", "3.14")
DJANGOS: Final = {"5.2": PYTHONS, "6.0": PYTHONS[1:], "6.1": PYTHONS[1:]}
"""Each Django with the Pythons that it supports, of those that this project does."""
SCHEDULE: Final = """
from timers.scheduling import ensure_group, schedule_once
ensure_group("shelf", action={"handler": "shop.note"})
schedule_once("shelf", "count", after=0, payload={"item": "pears"})
"""
SECONDS: Final = 60
"""How long a node may take to run the handler."""


class Failed(Exception):
    """A step of a combination failed: its output."""


def interpreter(version: str) -> Path | None:
    """Return this machine's newest Python of a version, on the PATH or installed by pyenv; None if there is none."""
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = sorted(
        (path for path in root.glob(f"{version}.*/bin/python") if re.fullmatch(r"[\d.]+", path.parts[-3])),
        key=lambda path: [int(part) for part in path.parts[-3].split(".")],
    )
    on_path = shutil.which(f"python{version}")
    candidates = [*found[::-1], *([] if on_path is None else [Path(on_path)])]
    # A shim of pyenv is on the PATH for versions that are not in use, too.
    return next(
        (path for path in candidates if subprocess.run([path, "-c", ""], capture_output=True).returncode == 0), None
    )


def run(*command: object, cwd: Path = ROOT, env: dict[str, str] | None = None) -> str:
    """Run a command and return its output; raises Failed with that output for another exit code than 0."""
    done = subprocess.run([str(word) for word in command], cwd=cwd, env=env, capture_output=True, text=True)
    if done.returncode:
        raise Failed(f"{' '.join(map(str, command))}\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
    return done.stdout


def build_wheel() -> Path:
    """Build the wheel of the app and return its path."""
    shutil.rmtree(FOLDER / "wheel", ignore_errors=True)
    run(sys.executable, "-m", "pip", "-q", "wheel", "--no-deps", "--no-build-isolation", "-w", FOLDER / "wheel", ROOT)
    (wheel,) = (FOLDER / "wheel").glob("*.whl")
    return wheel


def try_out(python: Path, version: str, django: str, wheel: Path, server: EmbeddedServer) -> str:
    """Install and run one combination; returns the exact versions. Raises Failed."""
    home = FOLDER / f"python{version}-django{django}"
    shutil.rmtree(home, ignore_errors=True)
    run(python, "-m", "venv", home / "venv")
    own = home / "venv" / "bin" / "python"
    run(own, "-m", "pip", "-q", "--disable-pip-version-check", "install", f"{wheel}[binary]", f"django=={django}.*")
    shutil.copytree(Path(__file__).parent / "host", home / "host", ignore=shutil.ignore_patterns("__pycache__"))
    database = f"compat_{version}_{django}".replace(".", "_")
    socket = str(server.folder.socket_folder)
    with psycopg.connect(host=socket, port=PORT, user=USER, dbname=DATABASE, autocommit=True) as session:
        session.execute(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)".encode())
        session.execute(f"CREATE DATABASE {database}".encode())
    notes = home / "notes"
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TIMERS_", "DJANGO_", "PYTHON"))}
    env = kept | {
        "PGHOST": socket, "PGPORT": str(PORT), "PGUSER": USER, "SHOP_DATABASE": database, "SHOP_NOTES": str(notes),
    }  # fmt: skip

    def manage(*words: str) -> str:
        return run(own, "-W", "error::DeprecationWarning:timers", "manage.py", *words, cwd=home / "host", env=env)

    if "no issues" not in (said := manage("check")):
        raise Failed(said)
    manage("makemigrations", "--check", "--dry-run", "timers")
    manage("migrate", "-v", "0")
    manage("shell", "-v", "0", "-c", SCHEDULE)
    with (home / "node.log").open("wb") as log:
        node = subprocess.Popen(
            [own, "manage.py", "runtimerworker", "--workers", "1"],
            cwd=home / "host", env=env, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + SECONDS
        while not notes.exists():
            if time.monotonic() > deadline or node.poll() is not None:
                raise Failed(f"no handler ran\n{(home / 'node.log').read_text()[-4000:]}")
            time.sleep(0.1)
    finally:
        if node.poll() is None:
            os.killpg(node.pid, signal.SIGTERM)
            node.wait(SECONDS)
    versions = run(own, "-c", "import django, platform; print(platform.python_version(), django.__version__)")
    shutil.rmtree(home)
    return versions.strip()


def combinations(pythons: list[str], djangos: list[str]) -> Iterator[tuple[str, str]]:
    """Return the Pythons and Djangos that go together."""
    for version in pythons:
        for django in djangos:
            if version in DJANGOS[django]:
                yield version, django


def main() -> int:
    """Try all combinations; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", choices=PYTHONS, action="append")
    parser.add_argument("--django", choices=list(DJANGOS), action="append")
    options = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    wheel = build_wheel()
    server = EmbeddedServer(Folder.at(FOLDER / "database"), durable=False)
    failed = 0
    server.start()
    try:
        for version, django in combinations(options.python or list(PYTHONS), options.django or list(DJANGOS)):
            python = interpreter(version)
            if python is None:
                print(f"Python {version:5} Django {django}  not tried: there is no Python {version} on this machine")
                continue
            try:
                words = f"works ({try_out(python, version, django, wheel, server)})"
            except Failed as error:
                failed += 1
                words = f"FAILED: {error}"
            print(f"Python {version:5} Django {django}  {words}", flush=True)
    finally:
        server.stop()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
