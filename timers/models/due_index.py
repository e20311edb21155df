"""How the index of due timers is asked: it begins with group, shard and priority, so each of them is asked by itself.

An equality on all three keeps the order of `next_fire_at`; without one of them a look at the soonest reads them all.
The group is `g`, the timer `t`.
"""

from __future__ import annotations

from typing import Final

SHARDS: Final = "generate_series(0, GREATEST(g.shards, g.probed_shards) - 1) AS s(shard)"
"""Each shard that timers of a group may be in; after a change of their number also those that are being emptied."""
PARTS: Final = f"{SHARDS} CROSS JOIN unnest(g.timer_priorities) AS p(priority)"
"""Each shard and each priority of a group's timers."""
IN_PART: Final = "t.group_id = g.id AND t.shard = s.shard AND t.priority = p.priority AND t.state = 'active'"
"""The active timers of one of them."""
