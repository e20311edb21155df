"""Definitions: versions of chains as the engine uses them, parsed once per process."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, NamedTuple

from timers.actions import Action, parse
from timers.database import connection
from timers.domain.chains import Chain, StepStates, parse_chain
from timers.domain.chains.steps import ActionStep
from timers.engine.arrays import plain_array
from timers.exceptions import TimersError

_READ: Final = """
SELECT v.definition::text, c.name FROM timers_chain_version v JOIN timers_chain c ON c.id = v.chain_id WHERE v.id = %s
"""
_NEWEST: Final = """
SELECT c.group_id, c.name, c.id, v.id
FROM timers_chain c JOIN timers_chain_version v ON v.chain_id = c.id AND v.version = c.newest
WHERE c.group_id = ANY(%s::bigint[]) AND c.name = ANY(%s)
"""
_KEEP: Final = " ORDER BY c.id FOR KEY SHARE OF c"
_STATES: Final = """
SELECT c.id, (SELECT v.id FROM timers_chain_version v WHERE v.chain_id = c.id AND v.version = c.newest),
       c.state = 'stopped', s.name, s.state
FROM timers_chain c LEFT JOIN timers_chain_step s ON s.chain_id = c.id AND s.state <> 'active'
WHERE c.id = ANY(%s::bigint[])
"""


class NoSuchVersion(TimersError):
    """The version of a chain that an order walks through does not exist."""


@dataclass(frozen=True, slots=True)
class Definition:
    """One version of a chain."""

    chain: Chain
    actions: Mapping[str, Action] = field(default_factory=dict)
    """Actions of the action steps, by step."""
    name: str = ""
    """The name of the chain."""

    def handler(self, step: str) -> str | None:
        """Return the handler that a step calls; None if it calls none."""
        action = self.actions.get(step)
        return None if action is None else action.handler


class ChainKey(NamedTuple):
    """A chain and one of its versions."""

    chain_id: int
    version_id: int


class ChainNow(NamedTuple):
    """What can change of a chain while orders walk through it."""

    states: StepStates = StepStates()
    newest: int | None = None
    """The id of its newest version."""


@lru_cache(maxsize=256)
def definition_of(version_id: int) -> Definition:
    """Return the version with that id.

    Raises:
        NoSuchVersion: the version does not exist.
        InvalidRequest: the version cannot be read.
    """
    with connection.cursor() as cursor:
        cursor.execute(_READ, (version_id,))
        row = cursor.fetchone()
    if row is None:
        raise NoSuchVersion(f"version {version_id} of the chain has been deleted")
    chain = parse_chain(json.loads(row[0]))
    actions = {name: parse(step.action) for name, step in chain.steps.items() if isinstance(step, ActionStep)}
    return Definition(chain, actions, row[1])


def newest_versions(wanted: Collection[tuple[int, str]], *, keep: bool = False) -> dict[tuple[int, str], ChainKey]:
    """Return the newest versions of chains, by group id and name; chains that do not exist are left out.

    `keep` prevents the deletion of the chains until the transaction ends, so that a deletion sees its new orders.
    """
    if not wanted:
        return {}
    groups, names = zip(*wanted, strict=True)
    with connection.cursor() as cursor:
        cursor.execute(_NEWEST + (_KEEP if keep else ""), (plain_array(set(groups)), list(set(names))))
        return {(group, name): ChainKey(*key) for group, name, *key in cursor.fetchall()}


def lock_states(chain_id: int) -> None:
    """Prevent that a chain or its steps are stopped or started, until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM timers_chain WHERE id = %s FOR SHARE", (chain_id,))


def read_chains(chain_ids: Collection[int]) -> dict[int, ChainNow]:
    """Return which steps of these chains are stopped or skipped now, and their newest versions."""
    if not chain_ids:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(_STATES, (plain_array(chain_ids),))
        rows = cursor.fetchall()
    found: dict[int, ChainNow] = {}
    for chain_id, newest, is_stopped, name, state in rows:
        known = found[chain_id].states if chain_id in found else StepStates(is_chain_stopped=is_stopped)
        if state == "stopped":
            known = StepStates(known.stopped | {name}, known.skipped, is_stopped)
        elif state == "skipped":
            known = StepStates(known.stopped, known.skipped | {name}, is_stopped)
        found[chain_id] = ChainNow(known, newest)
    return found
