"""JSON from outside, read so that it can be kept and given back unchanged, or refused with the place.

RFC 8259 leaves open what a key that stands twice, a number beyond a double or half of a surrogate pair mean, and
readers differ in it; RFC 7493 (I-JSON) rules them out, and so does this.
"""

from __future__ import annotations

import codecs
import json
import math
import sys
from decimal import Decimal
from typing import Any, Final

from timers.domain import payload

_DOUBLE_DIGITS: Final = 17
"""So many digits tell any double from its neighbours (IEEE 754); programs that write no more mean the double."""
_LONGEST: Final = 800
"""Digits, at most, of the exact decimal form of a double, which some programs write; and a little more."""
MAX_DEPTH: Final = payload.MAX_DEPTH + 8
"""Levels of a whole body: a payload stands a few levels deep in it."""


class MalformedJson(ValueError):
    """The text is no JSON; the message says where."""


def loads(text: bytes, field: str = "body", *, one_line: bool = False) -> Any:
    """The value of UTF-8 JSON text; `one_line`: it is a line among others, so that only columns are told.

    Raises MalformedJson for what is no JSON, and InvalidRequest, naming the place, for values that could not be kept.
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
    except MalformedJson:
        raise
    except ValueError:  # Python itself reads no integer that is longer
        longest = sys.get_int_max_str_digits()
        raise MalformedJson(f"has a number of more than {longest:,} digits; send it as text") from None
    payload.check(value, field, MAX_DEPTH)
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise MalformedJson(f"has the key {name[:200]!r} twice in one object")
            seen.add(name)
    return value


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise MalformedJson(f"has the number {digits[:40]}, which is out of range; send it as text")
    if not _comes_back(digits, number):
        raise MalformedJson(f"has the number {digits[:40]}, which would come back as {number!r}; send it as text")
    return number


def _comes_back(digits: str, number: float) -> bool:
    """Whether a double is what was written: with more than 17 digits, or next to nothing, it may be another number."""
    if number and len(digits) <= _DOUBLE_DIGITS:
        return True
    if len(digits) > _LONGEST:  # no program writes a double so, and to compare it would take long
        return False
    written = Decimal(digits)
    is_exact = written == Decimal(number) or written == Decimal(repr(number))
    return is_exact or (bool(number) and len(written.as_tuple().digits) <= _DOUBLE_DIGITS)


def _refuse_constant(name: str) -> Any:
    raise MalformedJson(f"has {name}, which is not JSON; use null or text")


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_object, parse_float=_finite, parse_constant=_refuse_constant)
