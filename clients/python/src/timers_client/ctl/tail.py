"""timerctl tail: print executions as they end."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from itertools import islice
from time import sleep
from typing import Any, Final

from timers_client.ctl.output import Table, show_json, with_cause
from timers_client.sync import TimersClient

_COLUMNS: Final = {
    "finished_at": 26, "group": 16, "timer": 24, "attempt": 7, "state": 9, "node": 16, "lateness": 9, "run_time": 9,
    "id": 36, "error": 0,
}  # fmt: skip
_EVERY: Final = 1.0
_FIRST: Final = 20


def tail(arguments: argparse.Namespace, client: TimersClient) -> None:
    """Print executions as they end, until interrupted.

    The service lists occurrences by their due instant, and an old one may end now: so each poll reads the newest ones
    again, and prints those that were not there before.
    """
    table = Table(_COLUMNS)
    seen: set[tuple[Any, ...]] | None = None
    while True:
        rows = list(islice(_ended(arguments, client, fewer=seen is None and arguments.once), arguments.depth))
        known = seen or set()
        fresh = sorted((row for row in rows if _key(row) not in known), key=lambda row: row["finished_at"] or "")
        for row in fresh[-_FIRST:] if seen is None else fresh:
            if arguments.json:
                show_json(row)
            else:
                table.show(with_cause(row))
        if arguments.once:
            return
        seen = {_key(row) for row in rows}
        sleep(_EVERY)


def _ended(arguments: argparse.Namespace, client: TimersClient, *, fewer: bool) -> Iterator[Mapping[str, Any]]:
    limit = _FIRST if fewer else 200
    for each in client.get_executions(group=arguments.group, timer=arguments.timer, limit=limit):
        yield each.raw


def _key(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return (row["id"], row["attempt"], row["state"])
