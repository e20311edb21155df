"""The files of a run. Each is JSON lines, appended by whoever saw the fact; times are seconds of CLOCK_MONOTONIC.

history.jsonl   the client: what it asked for, and whether the answer was ok, fail, or is unknown (info)
effects.jsonl   handlers, webhook target and consumers: each start and end that really happened
nemesis.jsonl   the faults: begin, repair, whom they hit
ledger.jsonl    the final attempts, read from the database at the end
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class Journal:
    """Appends lines to one file; several processes may do so at once."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_APPEND | os.O_CREAT | os.O_WRONLY, 0o600)
        self._lock = threading.Lock()

    def write(self, **facts: Any) -> None:
        """Append one fact with the time."""
        facts.setdefault("t", time.monotonic())
        line = json.dumps(facts, separators=(",", ":")).encode() + b"\n"
        with self._lock:
            os.write(self._descriptor, line)


def read(path: Path) -> Iterator[dict[str, Any]]:
    """The facts of a file, in the order of their writing; a line cut short by a crash is left out."""
    if not path.exists():
        return
    with path.open() as lines:
        for line in lines:
            try:
                yield json.loads(line)
            except json.JSONDecodeError:
                continue
