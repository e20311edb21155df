"""Readers of the fields of steps and chains. Each takes the given value and the path of the field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from timers.domain import payload
from timers.domain.chains.limits import MAX_RESULTS, MAX_VARIABLES_BYTES
from timers.domain.chains.steps.spec_field import Read
from timers.domain.errors import nearest
from timers.domain.filters import Filter
from timers.domain.names import check_name, check_names, check_word
from timers.domain.policies import MAX_SECONDS, Retry
from timers.exceptions import InvalidRequest
from timers.schedules.duration import parse_seconds

MAX_TEXT = 1_000


def step_name(given: Any, field: str) -> str:
    """Read the name of a step, also as the target of another step."""
    if not isinstance(given, str):
        raise InvalidRequest(field, "must be the name of a step", given=given)
    return given


def name(given: Any, field: str) -> str:
    """Read a name; the rule is that of all names."""
    return check_name(field, given)


def names(given: Any, field: str) -> tuple[str, ...]:
    """Read a list of distinct names."""
    found = check_names(field, given)
    if len(set(found)) < len(found):
        raise InvalidRequest(field, "names something twice. Remove one of them.", given=given)
    return tuple(found)


def variable(given: Any, field: str) -> str:
    """Read the name of a variable; without dots, because conditions read them as a path."""
    word = check_word(field, given)
    if "." in word:
        raise InvalidRequest(
            field, "must be a name without dots. Conditions read a dot as a step into an object.", given=given
        )
    return word


def variable_names(given: Any, field: str) -> tuple[str, ...]:
    """Read a list of distinct names of variables."""
    return tuple(variable(each, field) for each in names(given, field))


def path(given: Any, field: str) -> tuple[str, ...]:
    """Read keys joined by dots, as in conditions."""
    keys = tuple(given.split(".")) if isinstance(given, str) and len(given) <= MAX_TEXT else ()
    if not keys or not all(keys):
        raise InvalidRequest(field, "must be a variable, or keys joined by dots such as order.lines", given=given)
    return keys


def text(given: Any, field: str) -> str:
    """Read text for people."""
    if not isinstance(given, str) or len(given) > MAX_TEXT or payload.storable(given) != given:
        raise InvalidRequest(field, f"must be text of at most {MAX_TEXT:,} characters without NUL", given=given)
    return given


def seconds(at_least: float = 0) -> Read:
    """Return a reader of a duration: a number of seconds or ISO 8601 text."""

    def read(given: Any, field: str) -> float:
        return parse_seconds(given, field, at_least=at_least, at_most=MAX_SECONDS)

    return read


def count(low: int, high: int, remedy: str = "") -> Read:
    """Return a reader of an integer within limits."""

    def read(given: Any, field: str) -> int:
        if isinstance(given, bool) or not isinstance(given, int) or not low <= given <= high:
            raise InvalidRequest(field, f"must be a whole number from {low:,} to {high:,}{remedy}", given=given)
        return given

    return read


def one_of(*words: str) -> Read:
    """Return a reader of one of some words."""

    def read(given: Any, field: str) -> str:
        if not isinstance(given, str) or given not in words:
            near = nearest(given, words) if isinstance(given, str) else None
            hint = f". Did you mean {near}?" if near else ""
            raise InvalidRequest(field, f"must be one of {', '.join(words)}{hint}", given=given)
        return given

    return read


def json_object(given: Any, field: str) -> Mapping[str, Any]:
    """Read an object of JSON values."""
    if not isinstance(given, Mapping):
        raise InvalidRequest(field, "must be an object", given=given)
    payload.check(dict(given), field)
    return given


def variables(given: Any, field: str) -> Mapping[str, Any]:
    """Read variables of an order: an object of at most 64 KB."""
    found = json_object(given, field)
    for each in found:
        variable(each, f"{field}.{each}"[:MAX_TEXT])
    check_size(found, field)
    return found


def check_size(given: Mapping[str, Any], field: str) -> None:
    """Raise InvalidRequest if the variables are too large or not JSON."""
    payload.encode(given if isinstance(given, dict) else dict(given), field)


def condition(given: Any, field: str) -> tuple[Mapping[str, Any], Filter]:
    """Read a condition on variables, in the filter language of subscriptions. Return the given value and the filter."""
    if not isinstance(given, Mapping) or not given:
        raise InvalidRequest(field, 'must be an object such as {"total": {"at_least": 100}}', given=given)
    try:
        return given, Filter.parse({"payload": given})
    except InvalidRequest as error:
        problems = [InvalidRequest(_within(each.field, field), each.message) for each in error.problems]
        raise InvalidRequest.combined(problems) from None


def retry(given: Any, field: str) -> Retry:
    """Read a retry policy with the fields of a group's, or the list of its delays."""
    if isinstance(given, (list, tuple)):
        given = {"delays": list(given), "max_retries": len(given)}
    try:
        return Retry.parse(given)
    except InvalidRequest as error:
        problems = [InvalidRequest(field + each.field.removeprefix("retry"), each.message) for each in error.problems]
        raise InvalidRequest.combined(problems) from None


def result_pointers(given: Any, field: str) -> tuple[tuple[str, str], ...]:
    """Read pairs of a variable and the JSON pointer (RFC 6901) of its value in the result of a step."""
    if isinstance(given, (list, tuple)):
        return tuple((each, "/" + each.replace("~", "~0").replace("/", "~1")) for each in variable_names(given, field))
    if not isinstance(given, Mapping) or not given:
        raise InvalidRequest(
            field, 'must be a list of keys, or an object such as {"total": "/invoice/total"}', given=given
        )
    if len(given) > MAX_RESULTS:
        raise InvalidRequest(field, f"may have at most {MAX_RESULTS} variables; this has {len(given):,}")
    for key, pointer in given.items():
        variable(key, field)
        is_pointer = isinstance(pointer, str) and len(pointer) <= MAX_TEXT and (pointer == "" or pointer[0] == "/")
        if not is_pointer or "~" in pointer.replace("~0", "").replace("~1", ""):
            raise InvalidRequest(f"{field}.{key}", "must be a JSON pointer such as /invoice/total", given=pointer)
    return tuple(given.items())


def _within(filter_field: str, field: str) -> str:
    rest = filter_field.removeprefix("filter").removeprefix(".payload")
    return field + rest


assert MAX_VARIABLES_BYTES == payload.MAX_BYTES  # what check_size compares with
