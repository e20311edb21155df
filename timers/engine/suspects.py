"""Suspects: record live nodes whose heartbeat is missing for unusually long, once, and their recovery.

Any live node that notices it records it. Rows that another session has locked are left for the next look, so nobody
delays the heartbeat of a suspect. Nothing else depends on it: death is decided by the lease and the crash lock alone
(death.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from timers.conf import Conf
from timers.database import connection, transaction
from timers.domain.suspicion import phi, suspect_after
from timers.engine.events import record
from timers.models import Node

_WRITE: Final = """
UPDATE timers_node SET suspect_since = {value}
WHERE id = ANY(ARRAY(
    SELECT id FROM timers_node
    WHERE id = %(node)s AND state IN ('starting', 'active', 'standby', 'draining') AND heartbeat_at = %(heartbeat_at)s
      AND suspect_since IS NOT DISTINCT FROM %(before)s::timestamptz
    FOR NO KEY UPDATE SKIP LOCKED))
RETURNING timers_now()
"""
_BEGIN: Final = _WRITE.format(value="timers_now()")
_END: Final = _WRITE.format(value="NULL")


@dataclass(frozen=True, slots=True)
class Heard:
    """A live node, and the time since its last heartbeat."""

    node: Node
    """With the columns that _LIVE_NODES of death.py reads."""
    silence: float
    """Seconds since its last heartbeat, by the database clock."""
    is_settled: bool
    """Whether the server has been up for long enough that the silence is significant."""


def note_suspects(heard: Sequence[Heard], settings: Conf, me: int | None = None) -> float | None:
    """Record which nodes became suspect and which recovered; return the seconds until the next may become suspect.

    Args:
        heard: the live nodes, including the judging one.
        settings: the threshold and the acceptable pause of the judging node.
        me: id of the judging node, which suspects all nodes but itself.
    """
    waits = []
    for each in heard:
        node = each.node
        limit = suspect_after(
            node.heartbeat_intervals, node.heartbeat_interval, settings.heartbeat_pause, settings.phi_threshold
        )
        if each.silence < limit:
            # A judging node with a longer pause may not find it suspect; only a later heartbeat makes it recover.
            if node.suspect_since is not None and node.heartbeat_at >= node.suspect_since:
                _write(_END, node, "node recovered", f"a heartbeat has come; it was suspect since {_at(node)}")
            if node.id != me:
                waits.append(limit - each.silence)
        elif node.suspect_since is None and each.is_settled and node.id != me:
            degree = phi(each.silence, node.heartbeat_intervals, node.heartbeat_interval, settings.heartbeat_pause)
            _write(_BEGIN, node, "node suspect", f"no heartbeat for {each.silence:.1f} s: phi {degree:.1f}")
    return min(waits, default=None)


def _write(statement: str, node: Node, kind: str, detail: str) -> bool:
    """Write the change and its event; return False if another session did so first, or a heartbeat has come since."""
    params: dict[str, Any] = {"node": node.id, "heartbeat_at": node.heartbeat_at, "before": node.suspect_since}
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement, params)
        row = cursor.fetchone()
        if row is not None:
            record(kind, node.name, detail, row[0])
    return row is not None


def _at(node: Node) -> str:
    return f"{node.suspect_since:%H:%M:%S.%f} UTC"
