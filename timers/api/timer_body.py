"""Request bodies that schedule a timer: the keywords of the Python API and the timer's kind, in one flat object."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import WithJsonSchema

from timers.api.schemas import ACTION, ANY, FLAG, NAME, NAMES, POLICIES, ZONE
from timers.control.create import ON_CONFLICT
from timers.domain.json_schema import INSTANT, TEXT, Schema, choice, duration, keywords, maybe, number
from timers.domain.limit_keys import MAX_KEY
from timers.schedules import KINDS

OWN: Final[dict[str, dict[str, Schema]]] = {
    name: {keyword.name: keyword.schema for keyword in kind.keywords} for name, kind in KINDS.items()
}
"""Keywords of each kind."""

SHARED: Final[dict[str, Schema]] = {
    "payload": ANY,
    "handler": maybe({"type": "string", "description": "A registered handler; without one the group's action."}),
    "action": maybe(ACTION),
    "start_at": maybe(INSTANT),
    "end_at": maybe(INSTANT),
    "max_fires": maybe(number(1, 2_147_483_647, "Finished after so many fires.", whole=True)),
    "jitter": duration(words="Over which timers of one instant are spread."),
    "priority": number(-9, 9, whole=True),
    "until_committed": FLAG,
    "time_zone": ZONE,
    "overrides": maybe({**keywords(POLICIES, []), "description": "Policies of the group that this timer replaces."}),
    "concurrency_key": maybe(
        {
            "type": "string",
            "minLength": 1,
            "maxLength": MAX_KEY,
            "description": "Whose executions are limited together.",
        }
    ),
    "tags": NAMES,
    "description": TEXT,
}
"""Keywords that all kinds share."""


_ASKED: Final[dict[str, dict[str, Schema]]] = {
    "once": {"debounce_max_wait": maybe(duration(0, words="How long replacements may put it off since its creation."))}
}
"""Keywords of a request that are not stored with the timer."""
_NAMED: Final = {"group": "orders", "name": "order-4711"}


def _one_of_the_kinds(further: dict[str, Schema], needed: list[str]) -> Schema:
    return {
        "oneOf": [
            {
                **keywords(
                    {"kind": {"const": kind}, **OWN[kind], **_ASKED.get(kind, {}), **SHARED, **further},
                    ["kind", *needed, *(keyword.name for keyword in KINDS[kind].keywords if keyword.is_required)],
                ),
                "title": kind,
            }
            for kind in KINDS
        ],
        "discriminator": {"propertyName": "kind"},
        "examples": [{"kind": "once", **{word: _NAMED[word] for word in needed}, "after": 30, "payload": {"a": 1}}],
    }


_CONFLICT: Final[dict[str, Schema]] = {"on_conflict": {**choice(*ON_CONFLICT), "default": "reject"}}
_EVERY_OWN: Final = {word: schema for own in OWN.values() for word, schema in own.items()}

BULK_REQUEST: Final = _one_of_the_kinds({"name": NAME}, ["name"])
NewTimer = Annotated[dict[str, Any], WithJsonSchema(_one_of_the_kinds({"name": NAME, **_CONFLICT}, ["name"]))]
"""Body that creates a timer."""
WholeTimer = Annotated[dict[str, Any], WithJsonSchema(_one_of_the_kinds({}, []))]
"""Body that creates or replaces the timer in the path."""
TimerChanges = Annotated[dict[str, Any], WithJsonSchema(keywords({"kind": choice(*KINDS), **_EVERY_OWN, **SHARED}, []))]
"""Body that changes a timer; fields that are not given are kept."""
PreviewRequest = Annotated[
    dict[str, Any],
    WithJsonSchema(
        _one_of_the_kinds({"group": NAME, "name": NAME, "n": number(1, 1000, "How many fires.", whole=True)}, ["group"])
    ),
]
"""Body that requests a preview."""
