"""Check whether a process id is a live PostgreSQL server: it may be a zombie's, or that of another program."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Final

PROGRAMS: Final = frozenset({"postgres", "postmaster"})


def is_server(pid: int) -> bool:
    """Return whether this is a live PostgreSQL process. Reaps a dead child of this process."""
    with contextlib.suppress(ChildProcessError):
        if os.waitpid(pid, os.WNOHANG)[0]:
            return False
    try:
        os.kill(pid, 0)
    except PermissionError:
        pass  # another user's
    except OSError:
        return False
    try:
        # "4711 (postgres) S ...": a name may contain any character, so it ends with the last bracket.
        before, _, state = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")
    except OSError:
        return not Path("/proc/self/stat").exists()  # not Linux: only the process id can be checked
    return before.partition("(")[2] in PROGRAMS and state.split()[0] not in {"Z", "X"}
