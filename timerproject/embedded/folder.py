"""Where the embedded database lies, and the address that follows from it alone."""

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
"""Only the name of the socket file: the server listens on no network address."""

LONGEST_SOCKET_FOLDER: Final = 90
"""Bytes. The kernel takes socket paths of 103 (macOS) to 107 bytes, and PostgreSQL appends `/.s.PGSQL.5432`."""


class EmbeddedDatabaseError(Exception):
    """The embedded database cannot be had here; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Folder:
    """The files of one embedded database. Makes nothing until `make()`."""

    root: Path

    @classmethod
    def at(cls, path: str | Path) -> Folder:
        # libpq takes a relative host for a DNS name, so everything is made from the absolute path.
        return cls(Path(path).resolve())

    @property
    def data(self) -> Path:
        return self.root / "pgdata"

    @property
    def new_data(self) -> Path:
        """Where initdb works; renamed to `data` when it is whole, so a killed initdb leaves no half cluster."""
        return self.root / "pgdata.tmp"

    @property
    def log(self) -> Path:
        return self.root / "pg.log"

    @property
    def lock(self) -> Path:
        """Held while the server is started or stopped."""
        return self.root / "pg.lock"

    @property
    def users(self) -> Path:
        """Shared by those who use the server, so that none stops it under another."""
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
        """A short name for this folder, for what must lie elsewhere."""
        return hashlib.sha256(os.fsencode(self.root)).hexdigest()[:12]

    def parameters(self, database: str = DATABASE) -> dict[str, str | int]:
        """What psycopg.connect() needs."""
        return {"host": str(self.socket_folder), "port": PORT, "user": USER, "dbname": database}

    def make(self) -> None:
        """Make the folder and the socket's folder, for this user alone."""
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
        """In /tmp anyone can be first with a name: whoever owns the folder could answer in the server's place."""
        found = os.lstat(self.socket_folder)
        private = stat.S_ISLNK(found.st_mode) or (stat.S_ISDIR(found.st_mode) and not found.st_mode & 0o077)
        if not private or found.st_uid != os.geteuid():
            raise EmbeddedDatabaseError(
                f"{self.socket_folder} is there already and is not a private folder of yours. "
                "Remove it, or choose a shorter TIMERS_VAR so that it is not needed."
            )
