"""Cron expressions in words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

from cronsim import CronSim

_ORDINALS = {"1th": "1st", "2th": "2nd", "3th": "3rd"}
_EPOCH = datetime(1970, 1, 1)


def explain(fields: Sequence[str]) -> str:
    """A cron expression of six or seven fields in words: "at 02:30 every day"."""
    words = CronSim(" ".join(fields[:6]), _EPOCH).explain()
    # cronsim writes 21th, 22th and 23th.
    words = re.sub(r"(?<=[02-9])[123]th\b", lambda found: _ORDINALS[found[0]], words)
    return words[0].lower() + words[1:]
