"""Set variables from the result of a step, by JSON pointers (RFC 6901)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from timers.domain.chains.steps.readers import check_size
from timers.exceptions import InvalidRequest


class BadResult(Exception):
    """A result, or another value that a step needs, does not have the required form; the message says why."""


def pick(pointers: Sequence[tuple[str, str]], result: Any, what: str = "the result") -> dict[str, Any]:
    """Return the variables that a step sets.

    Args:
        pointers: Pairs of a variable and the pointer of its value.
        result: Return value of the step.
        what: Name of the value in errors.

    Raises:
        BadResult: The result is not an object, or has no value at some pointer.
    """
    return {variable: _find(pointer, result, variable, what) for variable, pointer in pointers}


def find_path(variables: Mapping[str, Any], path: Sequence[str]) -> Any:
    """Return the value at a path of keys; None if there is none."""
    value: Any = variables
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def check_variables(variables: Mapping[str, Any]) -> None:
    """Raise BadResult if the variables are too large or not JSON."""
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
    """Return the name of a JSON value's type."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a flag"
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, (list, tuple)):
        return "a list"
    return "text" if isinstance(value, str) else "a number"
