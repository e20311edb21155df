"""Descriptions of cron expressions: by cronsim if it can parse the expression, otherwise by this package."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

from cronsim import CronSim, CronSimError

from timers.schedules.cron_fields import MONTH_NAMES, WEEKDAY_NAMES
from timers.schedules.names_in_words import ordinal
from timers.schedules.pattern_words import pattern_in_words
from timers.schedules.wall_pattern import WallPattern

_EPOCH = datetime(1970, 1, 1)
_NUMBERS = {name: n for n, name in enumerate(WEEKDAY_NAMES)} | {name: n for n, name in enumerate(MONTH_NAMES, 1)}


def explain(fields: Sequence[str], pattern: WallPattern) -> str:
    """Describe a cron expression of six or seven fields: "at 02:30 every day"."""
    if pattern.years is not None or any(term.startswith("H") for field in fields for term in field.split(",")):
        return pattern_in_words(pattern)
    readable = [_without_vain_steps(field).replace("?", "*") for field in fields[:6]]
    try:
        words = CronSim(" ".join(readable), _EPOCH).explain()
    except CronSimError:  # W, L-3 and FRIL
        return pattern_in_words(pattern)
    # cronsim writes 21th, 22th and 23th.
    words = re.sub(r"\b[0-9]*[123]th\b", lambda found: ordinal(int(found[0][:-2])), words)
    return words[0].lower() + words[1:]


def _without_vain_steps(field: str) -> str:
    """Return the field with `5-5/2` written as `5`; cronsim would read it as `5/2`, up to the field's end."""
    return re.sub(r"(\w+)-(\w+)/[0-9]+", lambda t: t[1] if _value(t[1]) == _value(t[2]) else t[0], field)


def _value(name: str) -> int | str:
    return int(name) if name.isdigit() else _NUMBERS.get(name, name)
