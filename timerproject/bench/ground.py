"""The test bed of a measurement: groups in a separate partition, so that no other node takes part."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Final, Self

from django.db import connection

from timers import clock
from timers.control.delete import erase_history, erase_nodes
from timers.engine.one_at_a_time import one_at_a_time
from timers.exceptions import NotAllowedNow
from timers.models import TimerGroup
from timers.scheduling import Created, create_group, delete_group, schedule_many

PREFIX: Final = "timerbench-"
HANDLER: Final = "timerbench.noop"
PAYLOAD: Final = {"order": 81_734, "text": "x" * 170}
"""About 200 bytes, the size of the published comparisons."""
CHUNK: Final = 2_000
CREATED_A_SECOND: Final = 5_000
"""Conservative estimate of the bulk rate, for measurements that need all timers to exist before the first is due."""

logger = logging.getLogger(__name__)


class BenchRuns(Exception):
    """Raised when another measurement is running on this database."""


class Ground:
    """A partition and its groups. Leaving the context deletes them with their timers and their history."""

    def __init__(self) -> None:
        self.partition = f"{PREFIX}{secrets.token_hex(3)}"
        self._alone = ExitStack()

    def __enter__(self) -> Self:
        if not self._alone.enter_context(one_at_a_time("timerbench")):
            self._alone.close()
            raise BenchRuns("another timerbench is running on this database; wait for its end")
        self._clear()  # remains of a killed run
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._alone:
            self._clear()

    def group(self, purpose: str, **fields: Any) -> TimerGroup:
        """Create a group; its timers run the handler that does nothing."""
        fields = {"action": {"handler": HANDLER}, **fields}
        return create_group(f"{self.partition}-{purpose}", partition=self.partition, actor="timerbench", **fields)

    def _clear(self) -> None:
        for group in TimerGroup.objects.filter(name__startswith=PREFIX):
            with connection.cursor() as cursor:
                # The raw limit's claims have no node that could be rescued.
                cursor.execute("DELETE FROM timers_claim WHERE group_id = %s AND node_id = 0", (group.id,))
            try:
                delete_group(group.name, force=True, actor="timerbench")
            except NotAllowedNow as reason:
                logger.warning("left behind: %s", reason)
                continue
            erase_history(group.id, group.created_at - timedelta(days=2))
        erase_nodes(PREFIX)


def due_one_shots(group: str, count: int) -> list[int]:
    """Create `count` one-shots that have been due for a second; return their ids in ascending order."""
    first = clock.now() - timedelta(seconds=1)
    return _create(
        {
            "kind": "once",
            "group": group,
            "at": first + timedelta(microseconds=number),
            "name": f"due-{first:%H%M%S%f}-{number}",
        }
        for number in range(count)
    )


def one_shots_at(group: str, first: datetime, gap: timedelta, count: int, *, payload: Any = PAYLOAD) -> list[int]:
    """Create one-shots at first, first + gap, ...; return their ids."""
    return _create(
        {
            "kind": "once",
            "group": group,
            "at": first + number * gap,
            "name": f"at-{first:%H%M%S%f}-{number}",
            "payload": payload,
        }
        for number in range(count)
    )


def fixed_rates(group: str, period: float, first: datetime, count: int, *, spread: float = 0) -> list[int]:
    """Create timers of one period; their first instants are spread over `spread` seconds from `first` on."""
    return _create(
        {
            "kind": "fixed_rate", "group": group, "period": period, "name": f"every-{first:%H%M%S%f}-{number}",
            "start_at": first + timedelta(seconds=spread * number / count),
        }
        for number in range(count)
    )  # fmt: skip


def far_future(group: str, count: int) -> None:
    """Create timers that are due in a month and later."""
    if count:
        one_shots_at(group, clock.now() + timedelta(days=30), timedelta(seconds=1), count)


def _create(requests: Iterator[dict[str, Any]]) -> list[int]:
    ids: list[int] = []
    chunk: list[dict[str, Any]] = []
    for request in requests:
        chunk.append({"payload": PAYLOAD, **request})
        if len(chunk) == CHUNK:
            ids += _ids(schedule_many(chunk))
            chunk = []
    return ids + _ids(schedule_many(chunk))


def _ids(created: list[Created]) -> list[int]:
    return [row.id for row in created]
