from __future__ import annotations

import importlib.util
import os
import re
import subprocess
from pathlib import Path

import pytest
from django.conf import settings

from timerproject import virtualenv

PINNED = re.compile(r"^([a-z0-9.-]+)==(\S+)", re.MULTILINE)


@pytest.fixture
def requirements(tmp_path: Path) -> Path:
    file = tmp_path / "requirements.txt"
    file.write_text("# nothing\n")
    return file


def test_the_second_set_up_only_compares(tmp_path: Path, requirements: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = tmp_path / "venv"
    assert virtualenv.set_up(environment, requirements) is True
    assert (environment / "bin/python").exists()

    monkeypatch.setattr(virtualenv, "install", lambda *_: pytest.fail("installed again"))
    assert virtualenv.set_up(environment, requirements) is False


def test_changed_requirements_are_installed_into_the_same_environment(
    tmp_path: Path, requirements: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    monkeypatch.setattr(virtualenv, "works", lambda _: bool(done))
    monkeypatch.setattr(
        virtualenv, "create", lambda path: (path / "bin").mkdir(parents=True) or (path / "bin/python").touch()
    )
    monkeypatch.setattr(virtualenv, "install", lambda _, file: done.append(file.read_text()))
    for text in ("one\n", "one\n", "two\n"):
        requirements.write_text(text)
        virtualenv.set_up(tmp_path / "venv", requirements)
    assert done == ["one\n", "two\n"]


def test_a_python_without_venv_is_told_what_to_install(
    tmp_path: Path, requirements: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SystemExit, match="apt-get install python3-venv"):
        virtualenv.set_up(tmp_path / "venv", requirements)
    assert not (tmp_path / "venv").exists()


@pytest.mark.parametrize("found", ["Python 3.9.2", ""], ids=["too old", "none"])
def test_make_says_so_when_python_is_too_old_or_missing(tmp_path: Path, found: str) -> None:
    python = tmp_path / "python3"
    if found:
        python.write_text(f'#!/bin/sh\n[ "$1" = --version ] && echo "{found}" && exit 0\nexit 1\n')
        python.chmod(0o755)
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    command = ["make", "setup", f"PYTHON={python}", f"VENV={tmp_path}/venv"]
    done = subprocess.run(command, cwd=settings.BASE_DIR, env=clean, capture_output=True, text=True)
    assert done.returncode != 0
    assert "Python 3.11 or newer is needed" in done.stderr
    assert found in done.stderr
    assert "apt-get install python3 python3-venv" in done.stderr


def test_tests_run_with_the_versions_that_users_get() -> None:
    users, ours = (
        dict(PINNED.findall((settings.BASE_DIR / name).read_text()))
        for name in ("requirements.txt", "requirements-dev.txt")
    )
    assert users.items() <= ours.items()


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_packages_are_pinned_by_hash_and_tied_to_no_host(name: str) -> None:
    text = (settings.BASE_DIR / name).read_text()
    assert len(PINNED.findall(text)) == len(re.findall(r"^\S+==.*\\\n    --hash=sha256:", text, re.MULTILINE))
    assert "://" not in text
    assert not re.search(r"^-", text, re.MULTILINE)
