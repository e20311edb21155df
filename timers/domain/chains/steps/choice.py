"""The step that chooses the next step by the variables."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar

from timers.domain.chains.limits import MAX_CHOICES
from timers.domain.chains.steps import readers
from timers.domain.chains.steps.spec_field import spec_field
from timers.domain.chains.steps.step import Exit, Step
from timers.domain.errors import ErrorCollector
from timers.domain.filters import Filter
from timers.exceptions import InvalidRequest

_KNOWN = ("when", "next")
_EXAMPLE = 'must be a list such as [{"when": {"total": {"at_least": 100}}, "next": "approve"}]'


@dataclass(frozen=True, slots=True)
class Option:
    """A condition and the step that follows if it holds."""

    when: Mapping[str, Any]
    condition: Filter = field(compare=False, repr=False)
    next: str

    def to_spec(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {"when": dict(self.when), "next": self.next}


def options(given: Any, path: str) -> tuple[Option, ...]:
    """Parse the conditions, in order. Raises one InvalidRequest for all errors."""
    if not isinstance(given, (list, tuple)) or not given:
        raise InvalidRequest(path, _EXAMPLE, given=given)
    if len(given) > MAX_CHOICES:
        raise InvalidRequest(path, f"may have at most {MAX_CHOICES} conditions; this has {len(given):,}")
    mistakes = ErrorCollector()
    found = [mistakes.check(partial(_option, each, f"{path}.{number}")) for number, each in enumerate(given)]
    mistakes.raise_if_any()
    return tuple(found)


def _option(given: Any, path: str) -> Option:
    if not isinstance(given, Mapping):
        raise InvalidRequest(path, 'must be an object with "when" and "next"', given=given)
    mistakes = ErrorCollector()
    mistakes.refuse_unknown(given, _KNOWN, within=f"{path}.", told=())
    when, condition = mistakes.check(lambda: readers.condition(given.get("when"), f"{path}.when"), ({}, Filter()))
    following = mistakes.check(lambda: readers.step_name(given.get("next"), f"{path}.next"))
    mistakes.raise_if_any()
    return Option(dict(when), condition, following)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceStep(Step):
    """Go to the step of the first condition that holds, or to the default."""

    kind: ClassVar[str] = "choice"

    choices: tuple[Option, ...] = spec_field(
        options, lambda found: [each.to_spec() for each in found],
        remedy='Give conditions such as [{"when": {"total": {"at_least": 100}}, "next": "approve"}].',
    )  # fmt: skip
    default: str = spec_field(readers.step_name, remedy="Name the step that follows where no condition holds.")

    @property
    def skips_to(self) -> str:
        return self.default

    def choose(self, variables: Mapping[str, Any]) -> str:
        """Return the step that follows for these variables."""
        return next((each.next for each in self.choices if each.condition.matches((), variables)), self.default)

    def exits(self) -> Iterator[Exit]:
        for number, each in enumerate(self.choices):
            yield Exit(f"choices.{number}.next", each.next, condition_in_words(each.when))
        yield Exit("default", self.default, "otherwise")


def condition_in_words(when: Mapping[str, Any]) -> str:
    """Describe a condition, such as "total at_least 100"."""
    words = []
    for path, wanted in when.items():
        if isinstance(wanted, Mapping):
            words += [f"{path} {word} {_json(value)}" for word, value in wanted.items()]
        else:
            words.append(f"{path} = {_json(wanted)}")
    return " and ".join(words)


def _json(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_json, value))
    return value if isinstance(value, str) else json.dumps(value)
