"""Decides as whom the server runs: PostgreSQL refuses root, and a fresh machine often has nothing else.

An ordinary user runs it as himself. Root runs it in a user namespace (see `namespace`), where nothing on the host
changes. Where that is refused (some containers), root hands it to `postgres` or `nobody`: such a user can reach neither
/root nor a private folder, so the data then lie under /var/lib, with symbolic links where they would have been.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from timerproject.embedded.binaries import Binaries
from timerproject.embedded.folder import EmbeddedDatabaseError, Folder

STAND_INS: Final = ("postgres", "nobody")
ELSEWHERE: Final = Path("/var/lib")


@dataclass(frozen=True, slots=True)
class RunAs:
    """How to start a PostgreSQL program: words before the command, and the user it is handed to, if any."""

    prefix: tuple[str, ...] = ()
    user: int | None = None
    group: int | None = None

    def command(self, *words: str) -> list[str]:
        return [*self.prefix, *words]

    def arguments(self) -> dict[str, Any]:
        """Keyword arguments for subprocess."""
        if self.user is None:
            return {}
        return {"user": self.user, "group": self.group, "extra_groups": []}

    def own(self, *paths: Path) -> None:
        """Give these to the user that the server runs as."""
        if self.user is not None:
            for path in paths:
                os.chown(path, self.user, -1 if self.group is None else self.group)


NAMESPACE: Final = RunAs(prefix=(sys.executable, "-I", str(Path(__file__).with_name("namespace.py"))))


def choose(folder: Folder) -> RunAs:
    """Who runs the server of this folder. EmbeddedDatabaseError where nobody can."""
    if os.geteuid():
        return RunAs()
    if folder.data.exists() and (owner := folder.data.stat()).st_uid:
        return RunAs(user=owner.st_uid, group=owner.st_gid)
    if namespaces_work():
        return NAMESPACE
    if not sys.platform.startswith("linux"):
        raise EmbeddedDatabaseError(
            "PostgreSQL does not run as root. Run this as an ordinary user, or set DATABASE_URL to a server of yours."
        )
    if folder.data.exists():
        raise EmbeddedDatabaseError(
            f"{folder.data} belongs to root, and PostgreSQL cannot run as root here, as user namespaces are refused. "
            f"Run as an ordinary user after `chown -R <user> {folder.root}`."
        )
    return settle_elsewhere(folder)


def namespaces_work() -> bool:
    if not sys.platform.startswith("linux"):
        return False
    return subprocess.run(NAMESPACE.command("/bin/true"), capture_output=True, check=False).returncode == 0


def settle_elsewhere(folder: Folder) -> RunAs:
    """Prepare a place that a stand-in for root can reach, linked from where the data would have been."""
    user = next((user for user in map(_user, STAND_INS) if user), None)
    if user is None:
        raise EmbeddedDatabaseError(
            "PostgreSQL does not run as root, user namespaces are refused here, and there is no user `postgres` or "
            "`nobody` to run it. Run this as an ordinary user, or set DATABASE_URL to a server of yours."
        )
    run_as = RunAs(user=user.pw_uid, group=user.pw_gid)
    place = place_elsewhere(folder)
    sockets = place / "run"
    for path in (place, sockets):
        path.mkdir(mode=0o700, exist_ok=True)
        run_as.own(path)
    for link, target in (
        (folder.data, place / "pgdata"),
        (folder.new_data, place / "pgdata.tmp"),
        (folder.socket_folder, sockets),
    ):
        if link.is_dir() and not link.is_symlink():
            link.rmdir()
        link.unlink(missing_ok=True)
        link.symlink_to(target)
    return run_as


def place_elsewhere(folder: Folder) -> Path:
    return ELSEWHERE / f"timers-{folder.digest}"


def reachable(binaries: Binaries, run_as: RunAs, folder: Folder) -> Binaries:
    """The programs as the server's user can run them: copied out of a private home if need be."""
    if run_as.user is None or _runs(binaries, run_as):
        return binaries
    package = binaries.folder.parent.parent
    copy = place_elsewhere(folder) / f"postgresql-{binaries.major}"
    if not copy.exists():
        half = copy.with_name(f"{copy.name}.tmp")
        shutil.rmtree(half, ignore_errors=True)
        # The programs look for their libraries beside the package, so its neighbour comes along at the same distance.
        for folder_to_copy in (package, package.with_name(f"{package.name}.libs")):
            if folder_to_copy.exists():
                shutil.copytree(folder_to_copy, half / folder_to_copy.name, symlinks=True)
        half.rename(copy)
    copied = Binaries(copy / binaries.folder.relative_to(package.parent), binaries.major)
    if not _runs(copied, run_as):
        raise EmbeddedDatabaseError(f"User {run_as.user} cannot run {copied.program('postgres')}.")
    return copied


def _runs(binaries: Binaries, run_as: RunAs) -> bool:
    try:
        for program in ("postgres", "initdb"):
            command = [binaries.program(program), "--version"]
            subprocess.run(command, capture_output=True, check=True, cwd="/", **run_as.arguments())
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


def _user(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None
