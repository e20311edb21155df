"""Declaration of routes: scope, responses, idempotency. The wrapper enforces each of them.

    @route(router, "POST", "/groups/{group}/pause", scope="operate", answer=GroupAnswer)
    def pause(request, group: str, body: PauseBody) -> GroupAnswer: ...

A view returns the body of its response, or an Answer with another status or headers. It raises all errors.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from django.http import HttpRequest, HttpResponse
from ninja import Router
from ninja.params import models as params
from pydantic import BaseModel

from timers.api.authentication import caller, needs
from timers.api.conditions import refuse_unheeded
from timers.api.idempotent import IDEMPOTENCY_KEY, once, refuse_key
from timers.api.problems import Problem
from timers.api.slashes import read_name
from timers.exceptions import FieldProblem
from timers.security.client_address import client_address
from timers.security.current_actor import acting_as
from timers.security.request_id import current_request_id

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]


@dataclass(frozen=True, slots=True)
class Answer:
    """Response of a view that is more than a body with the route's own status."""

    body: BaseModel | None = None
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Route:
    """One declared route, from which the tests build the access matrix."""

    method: Method
    path: str
    scope: str | None
    all_groups: bool


ROUTES: Final[list[Route]] = []
_WORD: Final = re.compile(r"{(\w+)}")

View = Callable[..., BaseModel | Answer | HttpResponse | None]


def route(
    router: Router,
    method: Method,
    path: str,
    *,
    scope: str | None,
    answer: type[BaseModel] | None,
    status: int | None = None,
    also: Mapping[int, type[BaseModel] | None] | None = None,
    all_groups: bool = False,
    repeatable: bool | None = None,
    unrepeatable: str = "",
    in_parts: bool = False,
    openapi: Mapping[str, Any] | None = None,
) -> Callable[[View], View]:
    """Declare a view as a route.

    Args:
        router: Router that the view is added to.
        method: HTTP method.
        path: Path with parameters in braces.
        scope: Scope that the caller must have; None: any caller.
        answer: Model of the success body; None: no body.
        status: Status of success; None: 200, or 204 without a body.
        also: Further success statuses and their models.
        all_groups: Reject keys that are limited to some groups.
        repeatable: Whether an Idempotency-Key is accepted; every write accepts it by default.
        unrepeatable: Why a write accepts no key. A request with one is refused, because the caller would rely on it.
        in_parts: The view heeds the Idempotency-Key itself, because it works in several transactions (once_in_parts).
        openapi: Additional OpenAPI properties of the operation.

    Returns:
        A decorator that returns the view.
    """
    first = status or (204 if answer is None else 200)
    takes_key = repeatable if repeatable is not None else method != "GET" and not unrepeatable
    extra: dict[str, Any] = {**(openapi or {})}
    heeded = {each["name"] for each in extra.get("parameters", []) if each["in"] == "header"}
    if takes_key:
        extra["parameters"] = [*extra.get("parameters", []), IDEMPOTENCY_KEY]

    def declared(view: View) -> View:
        signature = inspect.signature(view, eval_str=True)
        query = _query_names(signature, path)
        words = _WORD.findall(path)

        @functools.wraps(view)
        def answered(request: HttpRequest, **values: Any) -> HttpResponse:
            _refuse_unknown_query(request, query)
            if unrepeatable:
                refuse_key(request, unrepeatable)
            if method != "GET":
                refuse_unheeded(request, heeded)
            for word in words:
                values[word] = read_name(values[word])

            def work() -> HttpResponse:
                return rendered(view(request, **values), first)

            asking = caller(request)
            where = {"address": client_address(request), "request_id": current_request_id.get()}
            with acting_as(asking.actor, key_id=asking.key_id, **where):
                return once(request, asking, work) if takes_key and not in_parts else work()

        # Ninja reads the signature: it gets real types instead of names that only the view's module can resolve.
        answered.__signature__ = signature  # type: ignore[attr-defined]
        ROUTES.append(Route(method, path, scope, all_groups))
        return router.api_operation(
            [method],
            path,
            auth=needs(scope, all_groups=all_groups),
            response={first: answer, **(also or {})},
            summary=(view.__doc__ or "").strip().splitlines()[0].rstrip("."),
            description=inspect.cleandoc(view.__doc__ or ""),
            openapi_extra=extra,
            operation_id=f"{view.__module__.rpartition('.')[2]}_{view.__name__}",
            url_name=view.__name__,
        )(answered)

    return declared


def rendered(given: BaseModel | Answer | HttpResponse | None, status: int) -> HttpResponse:
    """Return the response for the value that a view returned. `status`: used unless the value has its own."""
    if isinstance(given, HttpResponse):
        return given
    said = given if isinstance(given, Answer) else Answer(given)
    # Unset fields, such as the keywords of other kinds of timers, do not belong to this response.
    text = b"" if said.body is None else said.body.model_dump_json(exclude_unset=True).encode()
    response = HttpResponse(text, status=said.status or status, headers=dict(said.headers))
    if text:
        response.headers["Content-Type"] = "application/json"
    else:
        del response.headers["Content-Type"]
    return response


def _query_names(signature: inspect.Signature, path: str) -> frozenset[str]:
    """Return the query parameters of a view: its arguments that come neither from the path nor from the body."""
    names: set[str] = set()
    for name, parameter in list(signature.parameters.items())[1:]:
        annotation = parameter.annotation
        sources = [type(each) for each in getattr(annotation, "__metadata__", ()) if isinstance(each, params.Param)]
        held = getattr(annotation, "__origin__", annotation)
        is_model = isinstance(held, type) and issubclass(held, BaseModel)
        if params.Query in sources and is_model:
            names.update(held.model_fields)
        elif not sources and not is_model and f"{{{name}}}" not in path:
            names.add(name)
    return frozenset(names)


def _refuse_unknown_query(request: HttpRequest, known: frozenset[str]) -> None:
    unknown = sorted(set(request.GET) - known)
    if unknown:
        words = f"is not known here; known are {', '.join(sorted(known))}" if known else "is not known here"
        raise Problem.of_fields("invalid", [FieldProblem(name, words) for name in unknown])
