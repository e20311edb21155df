"""Request bodies that schedule a timer: the keywords of the Python API and the timer's kind, in one flat object."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import WithJsonSchema

from timers.api.schemas import (
    ACTION,
    ANY,
    DURATION,
    FLAG,
    INSTANT,
    NAME,
    NAMES,
    POLICIES,
    TEXT,
    ZONE,
    Schema,
    choice,
    duration,
    keywords,
    maybe,
    number,
)
from timers.control.create import ON_CONFLICT
from timers.control.request import OWN_KEYWORDS
from timers.domain.limit_keys import MAX_KEY

_CLOCK_POLICY: Final[dict[str, Schema]] = {
    "gap": choice("run_after", "skip"),
    "fold": choice("once", "twice"),
}
_ATTRIBUTE: Final[Schema] = {"type": ["string", "integer"]}

OWN: Final[dict[str, dict[str, Schema]]] = {
    "once": {"at": maybe(INSTANT), "after": maybe(DURATION)},
    "fixed_rate": {"period": DURATION},
    "fixed_delay": {"delay": DURATION},
    "cron": {"expression": {"type": "string", "maxLength": 256, "examples": ["30 2 * * *"]}, **_CLOCK_POLICY},
    "calendar": {
        **dict.fromkeys(("second", "minute", "hour", "day_of_month", "month", "day_of_week", "year"), _ATTRIBUTE),
        **_CLOCK_POLICY,
    },
    "window": {
        "begin": {"type": "string", "examples": ["13:00"]},
        "end": {"type": "string", "examples": ["15:00"]},
        "every": DURATION,
        "weekdays": maybe({"type": "array", "items": TEXT}),
        **_CLOCK_POLICY,
    },
    "rrule": {"rule": {"type": "string", "examples": ["FREQ=MONTHLY;BYDAY=-1FR"]}, **_CLOCK_POLICY},
}
"""Keywords of each kind."""

_NEEDED: Final = {
    "once": [],
    "fixed_rate": ["period"],
    "fixed_delay": ["delay"],
    "cron": ["expression"],
    "calendar": [],
    "window": ["begin", "end", "every"],
    "rrule": ["rule"],
}

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
                    ["kind", *needed, *_NEEDED[kind]],
                ),
                "title": kind,
            }
            for kind in OWN_KEYWORDS
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
TimerChanges = Annotated[
    dict[str, Any], WithJsonSchema(keywords({"kind": choice(*OWN_KEYWORDS), **_EVERY_OWN, **SHARED}, []))
]
"""Body that changes a timer; fields that are not given are kept."""
PreviewRequest = Annotated[
    dict[str, Any],
    WithJsonSchema(
        _one_of_the_kinds({"group": NAME, "name": NAME, "n": number(1, 1000, "How many fires.", whole=True)}, ["group"])
    ),
]
"""Body that requests a preview."""
