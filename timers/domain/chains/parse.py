"""Parse a definition; all errors are collected, each with the path of its field."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Final

from timers.domain.chains.definition import Chain
from timers.domain.chains.graph import check_graph
from timers.domain.chains.limits import MAX_STEPS
from timers.domain.chains.steps import KINDS, ActionStep, Step
from timers.domain.chains.steps.spec_field import NEEDED, fields_of, read_fields
from timers.domain.chains.targets import check_targets
from timers.domain.errors import ErrorCollector, nearest
from timers.domain.names import check_name
from timers.exceptions import InvalidRequest

CheckAction = Callable[[Mapping[str, Any]], object]
"""Validates an action. Raises InvalidRequest, with fields that begin with `action`."""
_PLACEHOLDERS: Final[dict[str, Any]] = {"branches": (), "choices": (), "over": (), "action": {}}
"""Values for required but invalid fields, so that the rest can be validated too; empty text for all others."""


def parse_chain(spec: Any, *, check_action: CheckAction | None = None) -> Chain:
    """Parse a definition from its JSON form.

    Args:
        spec: An object with `steps`; docs/chains.md describes the fields.
        check_action: Validates the action of each step, such as `timers.actions.parse`. This package knows no actions.

    Returns:
        The chain; its `to_json` returns an equal definition.

    Raises:
        InvalidRequest: The definition is invalid; one problem for each error.
    """
    if not isinstance(spec, Mapping):
        raise InvalidRequest("chain", 'must be an object with "steps"', given=spec)
    mistakes = ErrorCollector()
    given = spec.get("steps")
    values = read_fields(Chain, spec, "", mistakes, "steps")
    steps = _steps(given, mistakes, check_action)
    if not steps:
        mistakes.raise_if_any()
    values.setdefault("start", next(iter(steps)))
    chain = replace(Chain(**values), steps=steps)
    check_targets(chain, mistakes)
    mistakes.raise_if_any()
    return check_graph(chain, mistakes)


def _steps(given: Any, mistakes: ErrorCollector, check_action: CheckAction | None) -> dict[str, Step]:
    if not isinstance(given, Mapping) or not given:
        mistakes.add(InvalidRequest("steps", 'must be an object such as {"done": {"kind": "end"}}', given=given))
        return {}
    if len(given) > MAX_STEPS:
        mistakes.add(
            InvalidRequest("steps", f"may be at most {MAX_STEPS:,}; these are {len(given):,}. Use sub-chains.")
        )
        return {}
    steps = {}
    for name, spec in given.items():
        mistakes.check(partial(check_name, f"steps.{name}"[:300], name))
        steps[name] = _step(name, spec, mistakes, check_action)
    return steps


def _step(name: str, spec: Any, mistakes: ErrorCollector, check_action: CheckAction | None) -> Step:
    path = f"steps.{name}"
    kind = spec.get("kind", ActionStep.kind) if isinstance(spec, Mapping) else None
    found = KINDS.get(kind) if isinstance(kind, str) else None
    if not isinstance(spec, Mapping):
        mistakes.add(InvalidRequest(path, 'must be an object such as {"kind": "end"}', given=spec))
    elif found is None:
        near = nearest(kind, KINDS) if isinstance(kind, str) else None
        hint = f". Did you mean {near}?" if near else ""
        mistakes.add(InvalidRequest(f"{path}.kind", f"must be one of {', '.join(KINDS)}{hint}", given=kind))
    if not isinstance(spec, Mapping) or found is None:
        return UnreadStep(name=name)
    problems = ErrorCollector()
    values = read_fields(found, spec, f"{path}.", problems, "kind")
    needed = [each.name for each in fields_of(found).values() if each.metadata["default"] is NEEDED]
    missing = {each: _PLACEHOLDERS.get(each, "") for each in needed if each not in values}
    step = found(name=name, **missing, **values)
    if not problems:
        step.check(f"{path}.", problems)
    if isinstance(step, ActionStep) and step.action and check_action is not None:
        _check_action(step, f"{path}.", check_action, problems)
    if problems:
        mistakes.check(problems.raise_if_any)
    return step


def _check_action(step: ActionStep, path: str, check_action: CheckAction, mistakes: ErrorCollector) -> None:
    try:
        check_action(step.action)
    except InvalidRequest as error:
        for each in error.problems:
            mistakes.add(InvalidRequest(path + each.field, each.message))


class UnreadStep(Step):
    """A step that could not be parsed at all, kept because others may lead to it."""

    kind = "unread"
