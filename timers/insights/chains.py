"""Queries of chains: their states, the number of orders at each step, the picture.

Orders are counted along an index, up to a limit. A chain of 200 steps with a million waiting orders is answered as fast
as an empty one; counts that reached the limit are reported as "at least".
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from timers.database import connection
from timers.domain.chains import Chain as Definition
from timers.domain.chains import StepStates, parse_chain
from timers.domain.chains.picture import picture_data, picture_text, step_in_words
from timers.domain.chains.svg import picture_svg
from timers.exceptions import TimerNotFound
from timers.insights.counts import CAP, Count
from timers.models import Chain, ChainStep, ChainVersion

COUNTED: Final = 20_000
"""Maximum number of rows that one result counts."""

# One probe for each step that has active orders, and a bounded number of rows of each.
_COUNTS: Final = """
WITH RECURSIVE at(chain_id, step) AS (
    SELECT c.id, (SELECT min(o.step) FROM timers_chain_order o WHERE o.chain_id = c.id AND o.ended_at IS NULL)
    FROM unnest(%(chains)s::bigint[]) AS c(id)
    UNION ALL
    SELECT at.chain_id, (SELECT min(o.step) FROM timers_chain_order o
                         WHERE o.chain_id = at.chain_id AND o.ended_at IS NULL AND o.step > at.step)
    FROM at WHERE at.step IS NOT NULL),
steps AS MATERIALIZED (
    SELECT chain_id, step, greatest(%(least)s, %(rows)s / count(*) OVER ()) AS bound FROM at WHERE step IS NOT NULL)
SELECT s.chain_id, s.step, o.state, count(*), s.bound
FROM steps s, LATERAL (
    SELECT o.state FROM timers_chain_order o
    WHERE o.chain_id = s.chain_id AND o.step = s.step AND o.ended_at IS NULL LIMIT least(s.bound, %(cap)s) + 1) o
GROUP BY 1, 2, 3, 5
"""
# Order rows do not show which are claimed; there are few claims.
_CLAIMED: Final = """
SELECT o.chain_id, o.step, o.state, count(*)
FROM timers_claim c, unnest(c.executions) AS e(id) JOIN timers_chain_order o ON o.id = e.id
WHERE c.group_id = ANY(%(groups)s::bigint[]) AND o.chain_id = ANY(%(chains)s::bigint[]) AND o.ended_at IS NULL
  AND o.state IN ('ready', 'waiting', 'at_limit', 'locked')
GROUP BY 1, 2, 3
"""


@dataclass(frozen=True, slots=True)
class StepCounts:
    """Numbers of orders at one step that have not ended, including branches and sub-chains."""

    states: Mapping[str, int]
    is_capped: bool
    """Whether there are more than were counted."""

    @property
    def total(self) -> Count:
        """Total over all states."""
        return Count(sum(self.states.values()), capped=self.is_capped)


@dataclass(frozen=True, slots=True)
class StepView:
    """A step of the newest version, or one of an older version that has orders."""

    name: str
    kind: str
    words: str
    """Description of what the step runs."""
    state: str
    """One of: active, stopped, skipped."""
    state_reason: str
    state_changed_by: str
    state_changed_at: datetime | None
    is_of_newest: bool
    orders: StepCounts


@dataclass(frozen=True, slots=True)
class ChainView:
    """A chain in one line."""

    row: Chain
    group: str
    orders: StepCounts
    """Orders at all of its steps together."""
    stopped: Sequence[str]
    """Names of its stopped steps."""
    skipped: Sequence[str]


NONE: Final = StepCounts({}, is_capped=False)


def find_chains(group: str, *, after: str = "", limit: int = 50) -> list[ChainView]:
    """Return up to `limit` chains of a group by name, starting after the name `after`."""
    rows = list(Chain.objects.filter(group__name=group, name__gt=after).order_by("name")[:limit])
    return _views(rows, group)


def find_chain(group: str, name: str) -> ChainView:
    """Return one chain. Raises TimerNotFound."""
    row = _row(group, name)
    return _views([row], group)[0]


def definition(group: str, name: str, version: int | None = None) -> tuple[ChainVersion, Definition]:
    """Return a version of a chain and its checked definition. `version`: None: the newest. Raises TimerNotFound."""
    row = _row(group, name)
    found = row.versions.filter(version=row.newest if version is None else version).first()
    if found is None:
        raise TimerNotFound(f"chain {name!r} has no version {version}")
    return found, _parsed(found.pk)


def find_steps(group: str, name: str) -> list[StepView]:
    """Return the steps of a chain with their states and order counts. Raises TimerNotFound."""
    row = _row(group, name)
    chain = _parsed(row.versions.values_list("pk", flat=True).get(version=row.newest))
    states = {each.name: each for each in ChainStep.objects.filter(chain=row)}
    counts = _count([row])
    older = sorted(step for chain_id, step in counts if chain_id == row.pk and step not in chain.steps)
    found = []
    for step in (*chain.steps, *older):
        known, spec = states.get(step), chain.steps.get(step)
        found.append(
            StepView(
                step, "" if spec is None else str(spec.kind), "" if spec is None else step_in_words(spec),
                "active" if known is None else known.state, "" if known is None else known.state_reason,
                "" if known is None else known.state_changed_by, None if known is None else known.state_changed_at,
                spec is not None, counts.get((row.pk, step), NONE),
            )
        )  # fmt: skip
    return found


def picture(group: str, name: str, version: int | None = None) -> dict[str, Any]:
    """Return the picture of a chain as JSON: boxes and edges with positions, states and counts.

    Raises TimerNotFound.
    """
    return picture_data(*_pictured(group, name, version))


def picture_as_svg(group: str, name: str, version: int | None = None) -> str:
    """Return the picture of a chain as an SVG document. Raises TimerNotFound."""
    return picture_svg(*_pictured(group, name, version))


def picture_as_text(group: str, name: str, version: int | None = None) -> str:
    """Return the picture of a chain as text, one line for each step and each edge. Raises TimerNotFound."""
    return picture_text(definition(group, name, version)[1])


def _pictured(group: str, name: str, version: int | None) -> tuple[Definition, StepStates, dict[str, int]]:
    row = _row(group, name)
    found = row.versions.filter(version=row.newest if version is None else version).values_list("pk", flat=True).first()
    if found is None:
        raise TimerNotFound(f"chain {name!r} has no version {version}")
    stopped, skipped = _unusual([row.pk]).get(row.pk, ([], []))
    states = StepStates(frozenset(stopped), frozenset(skipped), row.state == Chain.State.STOPPED)
    counts = {step: each.total.value for (_, step), each in _count([row]).items()}
    return _parsed(found), states, counts


def _views(rows: Sequence[Chain], group: str) -> list[ChainView]:
    counts, unusual = _count(rows), _unusual([row.pk for row in rows])
    found = []
    for row in rows:
        of_chain = [each for (chain_id, _), each in counts.items() if chain_id == row.pk]
        states = sum((Counter(each.states) for each in of_chain), Counter[str]())
        orders = StepCounts(dict(states), any(each.is_capped for each in of_chain))
        found.append(ChainView(row, group, orders, *unusual.get(row.pk, ([], []))))
    return found


def _unusual(chain_ids: Sequence[int]) -> dict[int, tuple[list[str], list[str]]]:
    """Return the stopped and the skipped steps of chains."""
    found: dict[int, tuple[list[str], list[str]]] = {}
    rows = ChainStep.objects.filter(chain__in=chain_ids).exclude(state=ChainStep.State.ACTIVE).order_by("name")
    for chain_id, name, state in rows.values_list("chain_id", "name", "state"):
        stopped, skipped = found.setdefault(chain_id, ([], []))
        (stopped if state == ChainStep.State.STOPPED else skipped).append(name)
    return found


def _count(rows: Sequence[Chain]) -> dict[tuple[int, str], StepCounts]:
    """Count orders by chain and step."""
    if not rows:
        return {}
    params: dict[str, Any] = {
        "chains": [row.pk for row in rows], "groups": list({row.group_id for row in rows}), "rows": COUNTED,
        "cap": CAP, "least": 1,
    }  # fmt: skip
    states: dict[tuple[int, str], Counter[str]] = {}
    bounds: dict[tuple[int, str], int] = {}
    with connection.cursor() as cursor:
        cursor.execute(_COUNTS, params)
        for chain_id, step, state, count, bound in cursor.fetchall():
            states.setdefault((chain_id, step), Counter())[state] = count
            bounds[chain_id, step] = min(bound, CAP)
        cursor.execute(_CLAIMED, params)
        claimed = cursor.fetchall()
    found = {}
    for chain_id, step, state, count in claimed:
        of_step = states.get((chain_id, step))
        if of_step is not None:
            running = min(count, of_step[state])
            of_step[state] -= running
            of_step["claimed"] += running
    for place, counted in states.items():
        is_capped = counted.total() > bounds[place]
        found[place] = StepCounts({state: count for state, count in sorted(counted.items()) if count}, is_capped)
    return found


def _row(group: str, name: str) -> Chain:
    row = Chain.objects.filter(group__name=group, name=name).select_related("group").first()
    if row is None:
        raise TimerNotFound(f"group {group!r} has no chain {name!r}")
    return row


@lru_cache(maxsize=256)
def _parsed(version_id: int) -> Definition:
    """Return the definition of a version. It can be cached: versions never change, and ids are not reused."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT definition::text FROM timers_chain_version WHERE id = %s", (version_id,))
        row = cursor.fetchone()
    if row is None:
        raise TimerNotFound("the version of the chain has been deleted")
    return parse_chain(json.loads(row[0]))
