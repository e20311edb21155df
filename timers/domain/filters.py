"""Filter: which timers a subscription receives, by their tags and by fields of their payloads. Pure.

    {"tags": {"any": ["eu", "us"], "none": ["test"]},
     "payload": {"kind": "invoice", "total": {"at_least": 100}, "customer.id": {"exists": true}}}

All conditions must hold. A path is keys joined by dots (a number is an index of a list). Values are compared as JSON: 1
and 1.0 are equal, 1 and true are not. A condition on a missing field does not hold, except `{"exists": false}` and
`{"not_in": [...]}`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final

from timers.exceptions import InvalidRequest

MAX_CONDITIONS: Final = 50
MAX_VALUES: Final = 100
MAX_TEXT: Final = 1000
_LARGEST: Final = 10**308
"""About the largest double; a larger bound is refused, because JSON parsers would not compare it alike."""

_MISSING: Final = object()
_TAG_WORDS: Final = ("any", "all", "none")
_WORDS: Final = ("in", "not_in", "exists", "at_least", "at_most")


@dataclass(frozen=True, slots=True)
class Filter:
    """Conditions on a timer's tags and payload; without conditions, every timer matches."""

    tags: tuple[tuple[str, frozenset[str]], ...] = ()
    """Pairs of a word (any, all, none) and tags."""
    payload: tuple[tuple[tuple[str, ...], str, Any], ...] = ()
    """Path, operator and the value to compare with."""

    @classmethod
    def parse(cls, spec: Any) -> Filter:
        """Parse the JSON form (None: no conditions). Raises InvalidRequest for all errors."""
        if spec is None:
            return cls()
        if not isinstance(spec, Mapping):
            raise InvalidRequest("filter", 'must be an object such as {"tags": {"any": ["eu"]}}', given=spec)
        problems = [_unknown("filter", name, ("tags", "payload")) for name in spec if name not in ("tags", "payload")]
        tags = _parse_tags(spec.get("tags", {}), problems)
        payload = _parse_payload(spec.get("payload", {}), problems)
        if len(tags) + len(payload) > MAX_CONDITIONS:
            problems.append(InvalidRequest("filter", f"may have at most {MAX_CONDITIONS} conditions"))
        if problems:
            raise InvalidRequest.combined(problems)
        return cls(tuple(tags), tuple(payload))

    @property
    def is_open(self) -> bool:
        """Whether every timer matches."""
        return not self.tags and not self.payload

    def matches(self, tags: Collection[str], payload: Any) -> bool:
        """Return whether a timer with these tags and this payload matches."""
        return all(_TAG_TESTS[word](wanted, tags) for word, wanted in self.tags) and all(
            _TESTS[word](_at(payload, path), wanted) for path, word, wanted in self.payload
        )


_TAG_TESTS: Final[dict[str, Callable[[frozenset[str], Collection[str]], bool]]] = {
    "any": lambda wanted, tags: not wanted.isdisjoint(tags),
    "all": lambda wanted, tags: wanted.issubset(tags),
    "none": lambda wanted, tags: wanted.isdisjoint(tags),
}

_TESTS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "in": lambda value, wanted: any(_same(value, each) for each in wanted),
    "not_in": lambda value, wanted: not any(_same(value, each) for each in wanted),
    "exists": lambda value, wanted: (value is not _MISSING) == wanted,
    "at_least": lambda value, wanted: _is_number(value) and value >= wanted,
    "at_most": lambda value, wanted: _is_number(value) and value <= wanted,
}


def _at(payload: Any, path: tuple[str, ...]) -> Any:
    value = payload
    for key in path:
        if isinstance(value, dict):
            value = value.get(key, _MISSING)
        elif isinstance(value, list) and key.isascii() and key.isdigit() and len(key) < 7 and int(key) < len(value):
            value = value[int(key)]
        else:
            return _MISSING
    return value


def _same(value: Any, wanted: Any) -> bool:
    if isinstance(value, bool) or isinstance(wanted, bool):
        return value is wanted
    alike = type(value) is type(wanted) or (_is_number(value) and _is_number(wanted))
    return alike and bool(value == wanted)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _parse_tags(spec: Any, problems: list[InvalidRequest]) -> list[tuple[str, frozenset[str]]]:
    if not isinstance(spec, Mapping):
        problems.append(InvalidRequest("filter.tags", 'must be an object such as {"any": ["eu"]}', given=spec))
        return []
    found = []
    for word, tags in spec.items():
        if word not in _TAG_WORDS:
            problems.append(_unknown("filter.tags", word, _TAG_WORDS))
        elif not _is_list(tags) or not all(isinstance(tag, str) and 0 < len(tag) <= MAX_TEXT for tag in tags):
            problems.append(
                InvalidRequest(f"filter.tags.{word}", f"must be a list of 1 to {MAX_VALUES} tags", given=tags)
            )
        else:
            found.append((word, frozenset(tags)))
    return found


def _parse_payload(spec: Any, problems: list[InvalidRequest]) -> list[tuple[tuple[str, ...], str, Any]]:
    if not isinstance(spec, Mapping):
        problems.append(InvalidRequest("filter.payload", 'must be an object such as {"kind": "invoice"}', given=spec))
        return []
    found = []
    for path, condition in spec.items():
        field = f"filter.payload.{path}"
        keys = tuple(str(path).split("."))
        if not isinstance(path, str) or not all(keys) or len(path) > MAX_TEXT:
            problems.append(
                InvalidRequest("filter.payload", "paths are keys joined by dots, as in customer.id", given=path)
            )
        elif not isinstance(condition, Mapping):
            if _check(
                _is_scalar(condition), field, "must be text, a number, true, false, null or {...}", condition, problems
            ):
                found.append((keys, "in", (condition,)))
        elif not condition:
            problems.append(InvalidRequest(field, f"must have some of {', '.join(_WORDS)}", given=condition))
        else:
            for word, wanted in condition.items():
                if _check_word(field, word, wanted, problems):
                    found.append((keys, word, tuple(wanted) if isinstance(wanted, (list, tuple)) else wanted))
    return found


def _check_word(field: str, word: Any, wanted: Any, problems: list[InvalidRequest]) -> bool:
    if word not in _WORDS:
        problems.append(_unknown(field, word, _WORDS))
        return False
    if word == "exists":
        return _check(isinstance(wanted, bool), f"{field}.exists", "must be true or false", wanted, problems)
    if word in ("in", "not_in"):
        right = _is_list(wanted) and all(_is_scalar(value) for value in wanted)
        what = f"must be a list of 1 to {MAX_VALUES} texts, numbers, true, false or null"
        return _check(right, f"{field}.{word}", what, wanted, problems)
    right = _is_number(wanted) and -_LARGEST <= wanted <= _LARGEST
    return _check(right, f"{field}.{word}", "must be a number between -1e308 and 1e308", wanted, problems)


def _check(is_right: bool, field: str, message: str, given: Any, problems: list[InvalidRequest]) -> bool:
    if not is_right:
        problems.append(InvalidRequest(field, message, given=given))
    return is_right


def _is_list(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and 1 <= len(value) <= MAX_VALUES


def _is_scalar(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) <= MAX_TEXT and "\x00" not in value
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or isinstance(value, (bool, int))


def _unknown(field: str, name: Any, known: Collection[str]) -> InvalidRequest:
    near = get_close_matches(str(name), list(known), n=1)
    hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
    return InvalidRequest(f"{field}.{name}", f"is not known; {hint}")
