"""Parts of queries for the index of due timers, whose first columns are group, shard and priority.

An equality on all three keeps the order of `next_fire_at`, so each of them is probed separately; without one of them a
query for the earliest reads all timers. The group is `g`, the timer `t`.
"""

from __future__ import annotations

from typing import Final

SHARDS: Final = "generate_series(0, GREATEST(g.shards, g.probed_shards) - 1) AS s(shard)"
"""SQL: each shard that may contain timers of a group, including old ones after a change of the number of shards."""
PARTS: Final = f"{SHARDS} CROSS JOIN unnest(g.timer_priorities) AS p(priority)"
"""SQL: each shard and each priority of a group's timers."""
IN_PART: Final = "t.group_id = g.id AND t.shard = s.shard AND t.priority = p.priority AND t.state = 'active'"
"""SQL condition: the active timers of one of these parts."""
