"""Strict JSON parsing: a value can be stored and returned unchanged, or it is refused with its location.

RFC 8259 does not define duplicate keys, numbers beyond a double, and lone surrogates, and parsers differ on them.
RFC 7493 (I-JSON) forbids them, and so does this module.
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
"""Number of digits that distinguishes all doubles (IEEE 754); a number with at most so many means the double."""
_LONGEST: Final = 800
"""Maximum number of digits: the longest exact decimal form of a double, which some programs write, and some reserve."""
MAX_DEPTH: Final = payload.MAX_DEPTH + 8
"""Levels of a whole body: a payload is nested a few levels deep in it."""


class MalformedJson(ValueError):
    """The text is not JSON; the message says where."""


def loads(text: bytes, field: str = "body", *, one_line: bool = False) -> Any:
    """Parse UTF-8 JSON text.

    Args:
        text: The bytes.
        field: Prefix of the field names in errors.
        one_line: The text is one line of several, so errors name only the column.

    Returns:
        The value.

    Raises:
        MalformedJson: The text is not JSON.
        InvalidRequest: A value cannot be stored unchanged; the error names its location.
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
    except ValueError:  # Python itself does not parse integers longer than this
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
    """Whether a double equals the written number: beyond 17 digits, or close to zero, it may be another number."""
    if number and len(digits) <= _DOUBLE_DIGITS:
        return True
    if len(digits) > _LONGEST:  # no program writes a double this way, and the comparison would take long
        return False
    written = Decimal(digits)
    is_exact = written == Decimal(number) or written == Decimal(repr(number))
    return is_exact or (bool(number) and len(written.as_tuple().digits) <= _DOUBLE_DIGITS)


def _refuse_constant(name: str) -> Any:
    raise MalformedJson(f"has {name}, which is not JSON; use null or text")


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_object, parse_float=_finite, parse_constant=_refuse_constant)
