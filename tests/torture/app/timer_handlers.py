"""Handlers of the torture run: each writes down its start and its end, outside the database."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

from tests.torture.live.records import Journal
from timers.handlers import Fire, handler

_journal = Journal(Path(os.environ["EFFECTS"])) if "EFFECTS" in os.environ else None


def _note(fire: Fire, phase: str) -> None:
    if _journal is not None:
        _journal.write(
            phase=phase, execution=fire.execution_id, name=fire.name, attempt=fire.number_of_try, fence=fire.fence,
            node=fire.node, pid=os.getpid(), kind="handler",
        )  # fmt: skip


@handler("torture.work", timeout=30)
def work(fire: Fire) -> None:
    """Works for as many seconds as the payload says."""
    _note(fire, "start")
    time.sleep(float(fire.payload or 0.01))
    _note(fire, "end")


@handler("torture.async_work", timeout=30)
async def async_work(fire: Fire) -> None:
    """The same on the event loop."""
    _note(fire, "start")
    await asyncio.sleep(float(fire.payload or 0.01))
    _note(fire, "end")
