"""JSON from outside, read so that it can be kept and given back unchanged, or refused with the place.

RFC 8259 leaves open what a key that stands twice, a number beyond a double or half of a surrogate pair mean, and
readers differ in it; RFC 7493 (I-JSON) rules them out, and so does this.
"""

from __future__ import annotations

import codecs
import json
import math
from typing import Any, Final

from timers import payload

MAX_DEPTH: Final = payload.MAX_DEPTH + 8
"""Levels of a whole body: a payload stands a few levels deep in it."""


class MalformedJson(ValueError):
    """The text is no JSON; the message says where."""


def loads(text: bytes, field: str = "body", *, one_line: bool = False) -> Any:
    """The value of UTF-8 JSON text; `one_line`: it is a line among others, so that only columns are told.

    Raises MalformedJson for what is no JSON, and SpecError, naming the place, for values that could not be kept.
    """
    if text.startswith((codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise MalformedJson("begins with a byte order mark; send UTF-8 without one")
    try:
        value = _DECODER.decode(text.decode())
    except UnicodeDecodeError as error:
        raise MalformedJson(f"is not UTF-8: byte {error.start} makes no character") from None
    except RecursionError:
        raise MalformedJson(f"is nested more than {MAX_DEPTH} levels deep") from None
    except json.JSONDecodeError as error:
        line = "" if one_line else f"line {error.lineno}, "
        raise MalformedJson(f"is no JSON: {error.msg} at {line}column {error.colno}") from None
    except ValueError as error:
        # Python itself refuses to read integers of more than 4,300 digits.
        raise MalformedJson(str(error)) from None
    payload.check(value, field, MAX_DEPTH)
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise MalformedJson(f"has the key {twice!r} twice in one object")
    return value


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise MalformedJson(f"has the number {digits[:40]}, which is out of range; send it as text")
    return number


def _refuse_constant(name: str) -> Any:
    raise MalformedJson(f"has {name}, which is not JSON; use null or text")


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_object, parse_float=_finite, parse_constant=_refuse_constant)
