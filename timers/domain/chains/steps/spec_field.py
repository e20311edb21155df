"""Declaration of how a field of a step is read from JSON and written back."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from timers.domain.errors import ErrorCollector
from timers.exceptions import InvalidRequest

Read = Callable[[Any, str], Any]
"""Converts a given value; the second argument is the path of its field. Raises InvalidRequest."""
NEEDED: Final = dataclasses.MISSING
_WRONG: Final = object()


def spec_field(
    read: Read, write: Callable[[Any], Any] | None = None, *, default: Any = NEEDED, remedy: str = "", key: str = ""
) -> Any:
    """Declare a field of a frozen dataclass that has a JSON form.

    Args:
        read: Converts the given value.
        write: Returns the JSON form; None: the value is its own JSON form.
        default: Value if nothing is given; NEEDED: the field is required.
        remedy: What to write, for the error about a missing field.
        key: Name in JSON, if it is a Python keyword.
    """
    metadata = {"read": read, "write": write, "remedy": remedy, "key": key, "default": default}
    if default is NEEDED:
        return dataclasses.field(metadata=metadata)
    if isinstance(default, dict):
        return dataclasses.field(default_factory=dict, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def fields_of(target: type[Any]) -> dict[str, dataclasses.Field[Any]]:
    """Return the declared fields by their names in JSON."""
    return {each.metadata["key"] or each.name: each for each in dataclasses.fields(target) if "read" in each.metadata}


def read_fields(
    target: type[Any], spec: Mapping[str, Any], path: str, mistakes: ErrorCollector, also: str
) -> dict[str, Any]:
    """Read the values of a JSON object, by the names of the fields; errors are collected.

    Args:
        target: The dataclass.
        spec: The JSON object.
        path: Path of the object, which ends with a dot, or empty.
        mistakes: Collects the errors.
        also: A name that was read before, or empty.
    """
    known = fields_of(target)
    mistakes.refuse_unknown(spec, {*known, also} - {""}, within=path, told=())
    values = {}
    for key, each in known.items():
        given = spec.get(key)
        if given is None:
            if each.metadata["default"] is NEEDED:
                mistakes.add(InvalidRequest(path + key, f"is missing. {each.metadata['remedy']}"))
            continue
        value = mistakes.check(partial(each.metadata["read"], given, path + key), _WRONG)
        if value is not _WRONG:
            values[each.name] = value
    return values


def written_fields(value: Any) -> dict[str, Any]:
    """Return the JSON form of the fields that differ from their defaults."""
    spec = {}
    for key, each in fields_of(type(value)).items():
        own = getattr(value, each.name)
        if each.metadata["default"] is NEEDED or own != each.metadata["default"]:
            write = each.metadata["write"]
            spec[key] = write(own) if write else own
    return spec
