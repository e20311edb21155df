"""Content of a call: the envelope, or a JSON template whose texts refer to the envelope's fields.

    {"order": "{{Payload.order}}", "note": "try {{NumberOfTry}} of {{Name}}"}

A text that consists of one reference becomes the field's value, be it text, a number or an object; in a longer text the
value is formatted. There are no expressions and no loops, and inserted values are not processed again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Final

from timers.domain.payload import encode
from timers.exceptions import InvalidRequest, TimersError

MAX_TEMPLATE_BYTES: Final = 16 * 1024
MAX_CONTENT_BYTES: Final = 1024 * 1024

FIELDS: Final = (
    "Group", "Name", "NumberOfTry", "FireTime", "ScheduledFireTime", "Payload", "ExecutionId", "Fence", "MissedCount",
    "Origin", "Node", "Subscription", "Chain", "Step", "Order",
)  # fmt: skip
"""Keys of the envelope; those that an execution does not have are empty text.

Payload may be followed by a path to a part of it, as in Payload.lines.0.article.
"""

_REFERENCE: Final = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_INDEX: Final = re.compile(r"[0-9]{1,6}")
_PATH: Final = re.compile(r"[^\s.{}]+(?:\.[^\s.{}]+)*")


class Unfillable(TimersError):
    """The template refers to a part that this payload does not have, or the result is too long."""


@dataclass(frozen=True, slots=True)
class Template:
    """A JSON value with references to the envelope's fields."""

    text: str
    """The template as JSON text."""
    value: Any = field(compare=False, repr=False)

    @classmethod
    def parse(cls, value: Any, field: str) -> Template:
        """Validate a template. Raises InvalidRequest that names every invalid reference."""
        text = encode(value, field)
        if len(text.encode()) > MAX_TEMPLATE_BYTES:
            raise InvalidRequest(
                field, f"may be at most {MAX_TEMPLATE_BYTES:,} bytes of JSON; this is {len(text.encode()):,}"
            )
        problems = list(_problems(value, field))
        if problems:
            raise InvalidRequest.combined(problems)
        return cls(text, json.loads(text))

    def fill(self, envelope: Mapping[str, Any]) -> Any:
        """Return the value with the envelope's fields inserted. Raises Unfillable."""
        return _filled(self.value, envelope)


def encode_content(value: Any) -> bytes:
    """Return the bytes of a content. Raises Unfillable if references have made it too long."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    content = text.encode()
    if len(content) > MAX_CONTENT_BYTES:
        raise Unfillable(f"the content is {len(content):,} bytes long; {MAX_CONTENT_BYTES:,} are allowed")
    return content


def _problems(value: Any, place: str) -> list[InvalidRequest]:
    if isinstance(value, Mapping):
        found = [
            InvalidRequest(f"{place}.{key}", "has a reference in a key; only values are replaced")
            for key in value
            if "{{" in key
        ]
        return found + [problem for key, item in value.items() for problem in _problems(item, f"{place}.{key}")]
    if isinstance(value, (list, tuple)):
        return [problem for index, item in enumerate(value) for problem in _problems(item, f"{place}[{index}]")]
    if not isinstance(value, str) or "{{" not in value:
        return []
    rest = _REFERENCE.sub("", value)
    if "{{" in rest:
        return [InvalidRequest(place, "opens a reference with {{ that no }} closes", given=value)]
    return [problem for found in _REFERENCE.finditer(value) for problem in _reference_problems(found[1], place)]


def _reference_problems(reference: str, place: str) -> list[InvalidRequest]:
    if not _PATH.fullmatch(reference):
        example = "{{Name}} or {{Payload.order}}"
        return [InvalidRequest(place, f"refers to no field; write it as in {example}", given="{{" + reference + "}}")]
    head, _, way = reference.partition(".")
    if head not in FIELDS:
        near = get_close_matches(head, FIELDS, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(FIELDS)}"
        return [InvalidRequest(place, f"refers to {head}, which the envelope does not have; {hint}")]
    if way and head != "Payload":
        return [InvalidRequest(place, f"refers to {reference}; only Payload has parts")]
    return []


def _filled(value: Any, envelope: Mapping[str, Any]) -> Any:
    if isinstance(value, dict):
        return {key: _filled(item, envelope) for key, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, envelope) for item in value]
    if not isinstance(value, str) or "{{" not in value:
        return value
    whole = _REFERENCE.fullmatch(value)
    if whole is not None and "}}" not in whole[1]:
        return _looked_up(whole[1], envelope)
    return _REFERENCE.sub(lambda found: _written_out(_looked_up(found[1], envelope)), value)


def _looked_up(reference: str, envelope: Mapping[str, Any]) -> Any:
    head, *way = reference.split(".")
    value = envelope.get(head, "")
    for step in way:
        if isinstance(value, dict) and step in value:
            value = value[step]
        elif isinstance(value, list) and _INDEX.fullmatch(step) and int(step) < len(value):
            value = value[int(step)]
        else:
            raise Unfillable(f"the payload has no {reference.partition('.')[2]}, to which the content refers")
    return value


def _written_out(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
