"""Payloads: any JSON value, stored as the given text and returned unchanged.

Stored as `json`, not `jsonb`, so the order of keys and numbers beyond 2**53 are preserved. What JSON (RFC 8259) or
PostgreSQL cannot store, or Python could not read back, is refused when it is given, with its location.
"""

from __future__ import annotations

import json
import math
from typing import Any, Final, Self

from timers.exceptions import InvalidRequest, TimersError

MAX_BYTES: Final = 64 * 1024
MAX_DEPTH: Final = 32
MAX_DIGITS: Final = 1000
_INT_LIMIT: Final = 10**MAX_DIGITS


class UnreadablePayload(TimersError):
    """A stored payload cannot be decoded; the message says why."""


class Unreadable(str):
    """Text of a stored payload that Python cannot decode as JSON; `reason` says why."""

    reason: str

    def __new__(cls, text: str, reason: str) -> Self:
        self = super().__new__(cls, text)
        self.reason = reason
        return self


def encode(value: Any, field: str = "payload") -> str:
    """Return `value` as JSON text. Raises InvalidRequest that locates what cannot be stored unchanged."""
    check(value, field)
    text = plain_text(value)
    size = len(text.encode())
    if size > MAX_BYTES:
        raise InvalidRequest(field, f"may be at most {MAX_BYTES:,} bytes of JSON; this is {size:,}")
    return text


def plain_text(value: Any) -> str:
    """Return a validated value as JSON text. Raises ValueError for a number that JSON does not have."""
    return "{}" if value == {} else _encoder.encode(value)


def check(value: Any, field: str = "payload", max_depth: int = MAX_DEPTH) -> None:
    """Raise InvalidRequest, with the location, for a value that JSON or PostgreSQL cannot store unchanged."""
    try:
        _check(value, field, field, max_depth)
    except _TooDeep as error:
        raise InvalidRequest(field, f"{error} is nested more than {max_depth} levels deep") from None


def decode(text: str) -> Any:
    """Decode stored JSON text. Raises UnreadablePayload if Python cannot return it unchanged."""
    try:
        return {} if text == "{}" else _decoder.decode(text)
    except RecursionError:
        raise UnreadablePayload("the payload is nested too deeply to be read") from None
    except ValueError as error:
        raise UnreadablePayload(f"the payload cannot be read: {error}") from None


def readable(text: str) -> Any:
    """Decode stored JSON text; if Python cannot return it unchanged, return the text and the reason as Unreadable."""
    try:
        return decode(text)
    except UnreadablePayload as error:
        return Unreadable(text, str(error))


def storable(text: str) -> str:
    """Return text that PostgreSQL accepts: without NUL and lone surrogates."""
    return text.replace("\x00", "\\x00").encode("utf-8", "backslashreplace").decode()


class _TooDeep(Exception):
    """Carries the location at which a value is nested too deeply."""


def _check(value: Any, field: str, place: str, depth_left: int) -> None:
    if value is None or isinstance(value, bool):
        return
    if isinstance(value, str):
        _check_text(value, field, place)
    elif isinstance(value, int):
        if not -_INT_LIMIT < value < _INT_LIMIT:
            raise InvalidRequest(field, f"{place} is a number of more than {MAX_DIGITS:,} digits; send it as text")
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise InvalidRequest(field, f"{place} is {value}, which JSON cannot hold; use null or text")
    elif isinstance(value, (dict, list, tuple)):
        if depth_left == 0:
            raise _TooDeep(place)
        if isinstance(value, dict):
            for key, item in value.items():
                if not isinstance(key, str):
                    raise InvalidRequest(field, f"{place} has the key {key!r}; JSON keys are text")
                _check_text(key, field, place)
                _check(item, field, f"{place}.{key}", depth_left - 1)
        else:
            for index, item in enumerate(value):
                _check(item, field, f"{place}[{index}]", depth_left - 1)
    else:
        raise InvalidRequest(
            field, f"{place} is a {type(value).__name__}, not JSON (text, number, true, false, null, list, object)"
        )


def _check_text(text: str, field: str, place: str) -> None:
    if "\x00" in text:
        raise InvalidRequest(field, f"{place} contains the NUL character, which PostgreSQL cannot store")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise InvalidRequest(field, f"{place} contains half of a surrogate pair, which is no character") from None


def _finite_float(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError(f"the number {digits[:40]} is out of range")
    return number


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


# Created once: with options, json.loads and json.dumps create new coders per call, which costs more than small values.
_decoder: Final = json.JSONDecoder(parse_float=_finite_float, parse_constant=_refuse_constant)
_encoder: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
