"""What becomes of the result of a step: its values as variables, by JSON pointers (RFC 6901)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from timers.domain.chains.steps.readers import check_size
from timers.exceptions import InvalidRequest


class BadResult(Exception):
    """A result, or what else a step needs, has not the form that the step requires; the message says why."""


def pick(pointers: Sequence[tuple[str, str]], result: Any, what: str = "the result") -> dict[str, Any]:
    """The variables that a step sets.

    Args:
        pointers: Pairs of a variable and the pointer of its value.
        result: What the step returned.
        what: What it is called in errors.

    Raises:
        BadResult: The result is no object, or has no value at some pointer.
    """
    return {variable: _find(pointer, result, variable, what) for variable, pointer in pointers}


def find_path(variables: Mapping[str, Any], path: Sequence[str]) -> Any:
    """The value at keys that were joined by dots; None where there is none."""
    value: Any = variables
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def check_variables(variables: Mapping[str, Any]) -> None:
    """Raise BadResult for variables that are too large or no JSON."""
    try:
        check_size(variables, "variables")
    except InvalidRequest as error:
        raise BadResult(str(error)) from None


def _find(pointer: str, result: Any, variable: str, what: str) -> Any:
    value = result
    for token in pointer.split("/")[1:]:
        key = token.replace("~1", "/").replace("~0", "~")
        if isinstance(value, Mapping) and key in value:
            value = value[key]
        elif isinstance(value, list) and _is_index(key) and int(key) < len(value):
            value = value[int(key)]
        elif value is result and not isinstance(value, (Mapping, list)):
            raise BadResult(f"results.{variable}: {what} is {kind_of(value)}, not an object. Return an object.")
        else:
            raise BadResult(f'results.{variable}: {what} has no value at "{pointer}". Return one, or change "results".')
    return value


def _is_index(key: str) -> bool:
    return key.isascii() and key.isdigit() and len(key) < 7 and (key == "0" or key[0] != "0")


def kind_of(value: Any) -> str:
    """What a JSON value is, in words."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a flag"
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, (list, tuple)):
        return "a list"
    return "text" if isinstance(value, str) else "a number"
