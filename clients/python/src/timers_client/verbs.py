"""Methods of a client built from calls, with the signature and documentation that `help` and `inspect` show."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from types import GenericAlias, NoneType
from typing import Any, Final, TypeVar, get_args, get_type_hints

from timers_client.calls.words import NOT_GIVEN

Method = TypeVar("Method", bound=Callable[..., Any])

_SELF: Final = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)


def told(method: Method, client: str, build: Callable[..., Any], pages: Any = None) -> Method:
    """Return the method with the name, the parameters and the documentation of the call that it carries out.

    `pages`: type of the iterator that it returns over the items of a list, instead of a single response.
    """
    call = inspect.signature(build, eval_str=True)
    (answer,) = get_args(call.return_annotation)
    result = (None if answer is NoneType else answer) if pages is None else GenericAlias(pages, get_args(answer))
    parameters = [each for given in call.parameters.values() for each in _spelled_out(given)]
    method.__name__, method.__qualname__ = build.__name__, f"{client}.{build.__name__}"
    method.__doc__ = build.__doc__
    method.__annotations__ = {each.name: each.annotation for each in parameters} | {"return": result}
    method.__signature__ = inspect.Signature([_SELF, *parameters], return_annotation=result)  # type: ignore[attr-defined]
    return method


def _spelled_out(given: inspect.Parameter) -> Iterator[inspect.Parameter]:
    """Yield a parameter; for typed keyword arguments, each of them."""
    options = get_args(given.annotation) if given.kind is given.VAR_KEYWORD else ()
    if not options:
        yield given
        return
    for name, annotation in get_type_hints(options[0]).items():
        yield inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=NOT_GIVEN, annotation=annotation)
