"""Warning of ensure_group if the group exists with other fields than the given ones."""

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
    """Return the group; warn about the given fields that differ in it. Other fields are not compared."""
    differing = sorted(_differing(json.loads(encoded(given)), group))
    if differing:
        logger.warning(
            "group %s exists and is left as it is, though it differs from what ensure_group was given in %s; "
            "update_group changes it",
            group["name"], ", ".join(differing),
        )  # fmt: skip
    return group


def _differing(given: Mapping[str, Any], found: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """Yield the paths of the fields that differ from the given ones."""
    for name, value in given.items():
        there = found.get(name)
        if isinstance(value, dict) and isinstance(there, dict):
            yield from _differing(value, there, f"{above}{name}.")
        elif name not in found or not _are_equal(value, there):
            yield above + name


def _are_equal(given: Any, found: Any) -> bool:
    """Whether two values are equal; a duration is in seconds in the response, and may be given as ISO 8601 text."""
    if isinstance(given, str) and isinstance(found, (int, float)) and (parts := _DURATION.fullmatch(given)):
        return found == sum(float(part or 0) * unit for part, unit in zip(parts.groups(), _SECONDS, strict=True))
    return bool(given == found)
