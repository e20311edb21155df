"""Run a program in a user namespace in which root has the user id of `nobody`.

    python3 -I namespace.py PROGRAM ARGUMENT...

PostgreSQL refuses to run with user id 0. Inside the namespace it sees 65534 (an id that has a name on every system,
which initdb requires); outside, its files still belong to root. Nothing on the host is changed.
"""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path
from typing import Final

CLONE_NEWUSER: Final = 0x10000000
INSIDE: Final = 65534


def enter() -> None:
    """Move this process into the namespace. Raises OSError if the kernel or a container forbids it."""
    uid, gid = os.geteuid(), os.getegid()
    libc = ctypes.CDLL(None, use_errno=True)  # os.unshare came with Python 3.12 only
    if libc.unshare(CLONE_NEWUSER):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    for name, text in (("setgroups", "deny"), ("uid_map", f"{INSIDE} {uid} 1"), ("gid_map", f"{INSIDE} {gid} 1")):
        Path(f"/proc/self/{name}").write_text(text, encoding="ascii")


if __name__ == "__main__":
    try:
        enter()
    except OSError as refused:
        sys.exit(f"no user namespace: {refused}")
    os.execv(sys.argv[1], sys.argv[1:])  # noqa: S606 - the same process, so the caller has the server's own pid
