"""Pydantic's errors about a body, a query or a path, converted to the service's own messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from timers.domain.errors import unknown
from timers.exceptions import FieldProblem, InvalidRequest

_PARTS: Final = frozenset({"body", "query", "path", "header", "cookie"})
_UNTOLD: Final = frozenset({"value", "token", "key"})
"""Fields whose invalid value is not repeated in the message."""
_WORDS: Final[Mapping[str, str]] = {
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "dict_type": "must be an object",
    "finite_number": "must be a finite number",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "int_from_float": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a whole number of fewer digits",
    "int_type": "must be a whole number",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "list_type": "must be a list",
    "literal_error": "must be one of {expected}",
    "missing": "is needed",
    "model_attributes_type": "must be an object",
    "model_type": "must be an object",
    "string_too_long": "must have at most {max_length} characters",
    "string_type": "must be text",
    "too_long": "must have at most {max_length} entries",
}


def in_our_words(error: ValidationError, model: type[BaseModel], source: str) -> list[FieldProblem]:
    """Convert the errors of a model. `source`: the part of the request that it was read from."""
    return [_problem(each, model, source) for each in error.errors(include_url=False)]


def _problem(each: ErrorDetails, model: type[BaseModel], source: str) -> FieldProblem:
    field = _place((source, *each["loc"]))
    if each["type"] == "extra_forbidden":
        words = unknown(each["loc"][-1], _known_at(model, each["loc"][:-1]), where="here").problems[0].message
        return FieldProblem(field, words)
    return InvalidRequest(field, _words(each), given=_given(each)).problems[0]


def _words(each: ErrorDetails) -> str:
    if each["type"] == "value_error":
        return str(each["ctx"]["error"])
    if each["type"] == "string_too_short":
        return "must not be empty"
    facts = {name: _plainly(value) for name, value in each.get("ctx", {}).items()}
    words = _WORDS.get(each["type"])
    return each["msg"][:1].lower() + each["msg"][1:] if words is None else words.format(**facts)


def _plainly(value: Any) -> str:
    if isinstance(value, (int, float)):
        return f"{value:,.10g}" if isinstance(value, float) else f"{value:,}"
    return str(value).replace(" or ", ", ").replace("'", "")


def _given(each: ErrorDetails) -> Any:
    """Return the invalid value if it may be repeated: own checks already do so, and a whole object reveals too much."""
    is_plain = isinstance(each["input"], (str, int, float)) and each["input"] != ""
    is_told = is_plain and each["type"] != "value_error" and _UNTOLD.isdisjoint(each["loc"])
    return each["input"] if is_told else None


def _place(location: tuple[int | str, ...]) -> str:
    words = [str(part) for part in location]
    if words and words[0] in _PARTS:
        # The name of the argument that holds a whole body or query is meaningless to a caller.
        words = words[2:] if words[0] in ("body", "query") and len(words) > 2 else words[1:]
    return ".".join(words) or "body"


def _known_at(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """Return the fields that an object at this path can have."""
    at = model
    for part in location:
        if isinstance(part, str) and part in at.model_fields:
            at = _model_in(at.model_fields[part].annotation) or at
    return list(at.model_fields)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for each in get_args(annotation) if (found := _model_in(each)) is not None), None)
