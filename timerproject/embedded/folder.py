"""Paths of the embedded database, and the address that follows from them."""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

USER: Final = "timers"
DATABASE: Final = "timers"
PORT: Final = 5432
"""Used only in the name of the socket file: the server does not listen on any network address."""

LONGEST_SOCKET_FOLDER: Final = 90
"""Bytes. The kernel accepts socket paths of 103 (macOS) to 107 bytes, and PostgreSQL appends `/.s.PGSQL.5432`."""


class EmbeddedDatabaseError(Exception):
    """Raised when the embedded database cannot be used here; the message has the reason and the remedy."""


@dataclass(frozen=True, slots=True)
class Folder:
    """The files of one embedded database. Creates nothing before `make()`."""

    root: Path

    @classmethod
    def at(cls, path: str | Path) -> Folder:
        # libpq treats a relative host as a DNS name, so all paths are built from the absolute path.
        return cls(Path(path).resolve())

    @property
    def data(self) -> Path:
        return self.root / "pgdata"

    @property
    def new_data(self) -> Path:
        """Folder in which initdb works; renamed to `data` when complete: a killed initdb leaves no partial cluster."""
        return self.root / "pgdata.tmp"

    @property
    def log(self) -> Path:
        return self.root / "pg.log"

    @property
    def lock(self) -> Path:
        """Lock file that is held while the server is started or stopped."""
        return self.root / "pg.lock"

    @property
    def users(self) -> Path:
        """Lock file shared by the users of the server, so that none stops it while another uses it."""
        return self.root / "pg.users"

    @property
    def pid_file(self) -> Path:
        return self.data / "postmaster.pid"

    @property
    def socket_folder(self) -> Path:
        inside = self.root / "run"
        if len(os.fsencode(inside)) <= LONGEST_SOCKET_FOLDER:
            return inside
        return Path(f"/tmp/timers-{os.geteuid()}-{self.digest}")  # noqa: S108 - private, see make()

    @property
    def socket_lock(self) -> Path:
        return self.socket_folder / f".s.PGSQL.{PORT}.lock"

    @property
    def digest(self) -> str:
        """Short name of this folder, for files that must be elsewhere."""
        return hashlib.sha256(os.fsencode(self.root)).hexdigest()[:12]

    def parameters(self, database: str = DATABASE) -> dict[str, str | int]:
        """Return the arguments of psycopg.connect()."""
        return {"host": str(self.socket_folder), "port": PORT, "user": USER, "dbname": database}

    def make(self) -> None:
        """Create the folder and the socket's folder, accessible only to this user."""
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not self.socket_folder.is_symlink():
                self.socket_folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise EmbeddedDatabaseError(f"The folder {self.root} cannot be made: {error.strerror}.") from error
        if not os.access(self.root, os.R_OK | os.W_OK | os.X_OK):
            owner = self.root.stat().st_uid
            raise EmbeddedDatabaseError(
                f"The folder {self.root} belongs to user {owner}, not to you (user {os.geteuid()}). "
                "Run as that user, or choose another folder with TIMERS_VAR."
            )
        if self.socket_folder.parent != self.root:
            self._refuse_a_foreign_socket_folder()

    def _refuse_a_foreign_socket_folder(self) -> None:
        """Refuse a foreign socket folder: in /tmp anyone can create it first and then answer in place of the server."""
        found = os.lstat(self.socket_folder)
        private = stat.S_ISLNK(found.st_mode) or (stat.S_ISDIR(found.st_mode) and not found.st_mode & 0o077)
        if not private or found.st_uid != os.geteuid():
            raise EmbeddedDatabaseError(
                f"{self.socket_folder} is there already and is not a private folder of yours. "
                "Remove it, or choose a shorter TIMERS_VAR so that it is not needed."
            )
