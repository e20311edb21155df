"""Choose the user that the server runs as: PostgreSQL refuses root, and a new machine often has no other user.

An ordinary user runs the server directly. Root runs it in a user namespace (see `namespace`), which changes nothing on
the host. If that is not permitted (some containers), root runs it as `postgres` or `nobody`: such a user can reach
neither /root nor a private folder, so the data are then under /var/lib, with symbolic links at the usual places.
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
    """How to start a PostgreSQL program: words before the command, and the user to run it as, if any."""

    prefix: tuple[str, ...] = ()
    user: int | None = None
    group: int | None = None

    def command(self, *words: str) -> list[str]:
        return [*self.prefix, *words]

    def arguments(self) -> dict[str, Any]:
        """Return the keyword arguments for subprocess."""
        if self.user is None:
            return {}
        return {"user": self.user, "group": self.group, "extra_groups": []}

    def own(self, *paths: Path) -> None:
        """Change the owner of these paths to the user that the server runs as."""
        if self.user is not None:
            for path in paths:
                os.chown(path, self.user, -1 if self.group is None else self.group)


NAMESPACE: Final = RunAs(prefix=(sys.executable, "-I", str(Path(__file__).with_name("namespace.py"))))


def choose(folder: Folder) -> RunAs:
    """Return how to run the server of this folder. Raises EmbeddedDatabaseError if there is no way."""
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
    """Prepare a folder that the substitute user can reach, linked from the usual place of the data."""
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
    """Return programs that the server's user can run; copies them if they are in a private home."""
    if run_as.user is None or _runs(binaries, run_as):
        return binaries
    package = binaries.folder.parent.parent
    copy = place_elsewhere(folder) / f"postgresql-{binaries.major}"
    if not copy.exists():
        half = copy.with_name(f"{copy.name}.tmp")
        shutil.rmtree(half, ignore_errors=True)
        # The programs load libraries from a folder next to the package, so it is copied to the same relative path.
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
