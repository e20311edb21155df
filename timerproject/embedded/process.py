"""Whether a process is a server that lives: a number may be a dead one's whom nobody has reaped, or someone else's."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Final

PROGRAMS: Final = frozenset({"postgres", "postmaster"})


def is_server(pid: int) -> bool:
    """Whether this is a living PostgreSQL. A dead child of ours is reaped on the way."""
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
        # "4711 (postgres) S ...": a name may hold anything, so it ends with the last bracket.
        before, _, state = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")
    except OSError:
        return not Path("/proc/self/stat").exists()  # another system: the number has to do
    return before.partition("(")[2] in PROGRAMS and state.split()[0] not in {"Z", "X"}
