"""Public API: declare timers and job chains next to the handlers that they call.

    from timers.declaring import cron, every
    from timers.handlers import handler

    @every("PT5M", group="reports")
    @handler("reports.refresh")
    def refresh(fire): ...

    @cron("30 2 * * *", group="reports", name="nightly", time_zone="Europe/Berlin", payload={"full": True})
    @cron("0 12 * * MON", group="reports", name="weekly")
    @handler("reports.build")
    def build(fire): ...

A decorator only records the declaration; it does not change its function. The timers are created when a node starts,
or by `manage.py synctimers` (see control/sync.py). The keywords are those of timers.scheduling; `name` defaults to
the handler's name. Invalid keywords raise InvalidRequest, which names the function, when the module is imported.

The group must exist, or be declared too:

    declare_group("reports", retry={"max_retries": 3})

A chain is declared by its steps, which name their handlers:

    declare_chain("reports", chain("publish").step("build", action="reports.build").step("send", action="reports.send"))
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, TypeVar

from timers import handlers
from timers.control.declaration import CODE, Declaration, Declared
from timers.control.groups import new_group
from timers.control.names import check_name
from timers.domain.chains import parse_chain
from timers.domain.chains.builder import ChainBuilder, chain
from timers.exceptions import InvalidRequest

__all__ = ["chain", "cron", "declarations", "declare_chain", "declare_group", "every", "timer"]

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

_timers: list[tuple[Declaration, Callable[..., Any]]] = []
_groups: dict[str, Declaration] = {}
_chains: dict[tuple[str, str], Declaration] = {}


def every(
    period: float | str | timedelta, *, group: str, name: str | None = None, **options: Any
) -> Callable[[Decorated], Decorated]:
    """Fire the function's handler every `period`, on the multiples of `period` since 1970 UTC.

    "P1D" is due at midnight UTC; use cron for times of a local clock.

    Args:
        period: Seconds, a timedelta, or ISO 8601 text.
        group: Name of the group.
        name: Name of the timer; None: the handler's name.
        **options: Keywords of timers.scheduling. With `start_at`, periods are counted from there.

    Returns:
        A decorator that returns its function unchanged.

    Raises:
        InvalidRequest: An argument is invalid.
    """
    return timer(kind="fixed_rate", period=period, group=group, name=name, **options)


def cron(expression: str, *, group: str, name: str | None = None, **options: Any) -> Callable[[Decorated], Decorated]:
    """Fire the function's handler by a cron expression.

    Args:
        expression: As in timers.scheduling.schedule_cron.
        group: Name of the group.
        name: Name of the timer; None: the handler's name.
        **options: Keywords of timers.scheduling, such as `time_zone` (default UTC).

    Returns:
        A decorator that returns its function unchanged.

    Raises:
        InvalidRequest: An argument is invalid.
    """
    return timer(kind="cron", expression=expression, group=group, name=name, **options)


def timer(*, kind: str, group: str, name: str | None = None, **options: Any) -> Callable[[Decorated], Decorated]:
    """Fire the function's handler by a schedule of any kind.

    Args:
        kind: once, fixed_rate, fixed_delay, cron, calendar, window or rrule.
        group: Name of the group.
        name: Name of the timer; None: the handler's name.
        **options: Keywords of the kind's schedule_* function in timers.scheduling.

    Returns:
        A decorator that returns its function unchanged.

    Raises:
        InvalidRequest: An argument is invalid.
    """
    keywords = {"kind": kind, "group": group, **({} if name is None else {"name": name}), **options}

    def declare(function: Decorated) -> Decorated:
        declaration = Declaration(keywords, _place(function))
        # The name and the handler may come from a decorator above this one; everything else is checked now.
        Declaration({"name": "-", **_handler_or("-", keywords), **keywords}, declaration.where).spec()
        # A module that is imported again makes the same declarations again.
        _timers[:] = [known for known in _timers if known[0] != declaration]
        _timers.append((declaration, function))
        return function

    return declare


def declare_group(name: str, **fields: Any) -> None:
    """Declare a group, which is created if no group has that name; an existing group is not changed.

    Args:
        name: Name of the group.
        **fields: The fields of timers.scheduling.create_group.

    Raises:
        InvalidRequest: A field is invalid, or the name is already declared with other fields. It names the module.
    """
    declaration = Declaration({**fields, "name": name}, _caller())
    try:
        new_group(name, **fields)
        if _groups.get(name, declaration) != declaration:
            raise InvalidRequest("name", f"is declared in {_groups[name].where} too, with other fields", given=name)
    except InvalidRequest as error:
        raise declaration.located(error) from None
    _groups[name] = declaration


def declare_chain(group: str, definition: ChainBuilder | Mapping[str, Any], *, name: str | None = None) -> None:
    """Declare a chain of a group.

    The definition is the same whether a node or `manage.py synctimers` creates the chain.

    Args:
        group: Name of the group, which must exist or be declared too.
        definition: The steps, as a builder or as JSON.
        name: Name of the chain; None: the builder's name.

    Raises:
        InvalidRequest: The definition is invalid, or the name is already declared with other steps. It names the
            module.
    """
    named = definition.name if name is None and isinstance(definition, ChainBuilder) else name
    declaration = Declaration({"group": group, "name": named}, _caller())
    try:
        check_name("group", group)
        if named is None:
            raise InvalidRequest("name", "is missing: give the name of the chain")
        key = group, check_name("name", named)
        steps = definition.build() if isinstance(definition, ChainBuilder) else definition
        parse_chain(steps)
        declaration = Declaration({**declaration.keywords, "definition": steps}, declaration.where)
        if _chains.get(key, declaration) != declaration:
            raise InvalidRequest("name", f"is declared in {_chains[key].where} too, with other steps", given=named)
    except InvalidRequest as error:
        raise declaration.located(error) from None
    _chains[key] = declaration


def declarations() -> Declared:
    """Return everything that this process declares. Raises InvalidRequest for a function that has no handler."""
    found: list[Declaration] = []
    problems: list[InvalidRequest] = []
    for declaration, function in _timers:
        try:
            keywords = {**declaration.keywords, **_handler_or(_handler_of(function, declaration), declaration.keywords)}
            found.append(Declaration({"name": keywords.get("handler"), **keywords}, declaration.where))
        except InvalidRequest as error:
            problems.append(declaration.located(error))
    if problems:
        raise InvalidRequest.combined(problems)
    return Declared(CODE, found, list(_groups.values()), list(_chains.values()))


def _handler_or(name: str, keywords: Mapping[str, Any]) -> dict[str, str]:
    return {} if {"handler", "action"} & set(keywords) else {"handler": name}


def _handler_of(function: Callable[..., Any], declaration: Declaration) -> str:
    if {"handler", "action"} & set(declaration.keywords):
        return ""
    names = [name for name in handlers.names() if _calls(name, function)]
    if len(names) == 1:
        return names[0]
    if not names:
        raise InvalidRequest("handler", 'is missing: put @handler("...") on the function, or give handler=...')
    raise InvalidRequest("handler", f"must be given: the function is registered as {', '.join(names)}")


def _calls(handler: str, function: Callable[..., Any]) -> bool:
    found = handlers.find(handler)
    return found is not None and _place(found.function) == _place(function)


def _caller() -> str:
    """Return the name of the module that called the caller of this function."""
    frame = inspect.currentframe()
    for _ in range(2):
        frame = None if frame is None else frame.f_back
    return "code" if frame is None else str(frame.f_globals["__name__"])


def _place(function: Callable[..., Any]) -> str:
    return f"{function.__module__}.{function.__qualname__}"
