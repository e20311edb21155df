"""What ensure_group says where a group is there already and is not as it was asked for."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from timers_client.answers import Raw
from timers_client.call import encoded
from timers_client.message import logger

_DURATION: Final = re.compile(r"P(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?")
_SECONDS: Final = (604_800, 86_400, 3600, 60, 1)


def left_as_it_is(group: Raw, given: Mapping[str, Any]) -> Raw:
    """The group; a warning names the fields that were given and are otherwise in it. Others are not looked at."""
    differing = sorted(_differing(json.loads(encoded(given)), group))
    if differing:
        logger.warning(
            "group %s exists and is left as it is, though it differs from what ensure_group was given in %s; "
            "update_group changes it",
            group["name"], ", ".join(differing),
        )  # fmt: skip
    return group


def _differing(given: Mapping[str, Any], found: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """The paths of the fields that are not as they were given."""
    for name, value in given.items():
        there = found.get(name)
        if isinstance(value, dict) and isinstance(there, dict):
            yield from _differing(value, there, f"{above}{name}.")
        elif name not in found or not _are_equal(value, there):
            yield above + name


def _are_equal(given: Any, found: Any) -> bool:
    """Whether two values mean the same: a duration is told in seconds, and may be given as ISO 8601."""
    if isinstance(given, str) and isinstance(found, (int, float)) and (parts := _DURATION.fullmatch(given)):
        return found == sum(float(part or 0) * unit for part, unit in zip(parts.groups(), _SECONDS, strict=True))
    return bool(given == found)
