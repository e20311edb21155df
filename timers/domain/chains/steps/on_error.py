"""What follows when a step fails: retry, suspend the order, fail it, or go to another step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from timers.domain.chains.steps.readers import step_name
from timers.domain.chains.steps.spec_field import Read
from timers.domain.errors import nearest
from timers.exceptions import InvalidRequest


@dataclass(frozen=True, slots=True)
class OnError:
    """One word, and the target step for goto."""

    word: str
    target: str | None = None

    def to_spec(self) -> Any:
        """Return the JSON form: the word, or `{"goto": STEP}`."""
        return self.word if self.target is None else {"goto": self.target}


FAIL: Final = OnError("fail")
SUSPEND: Final = OnError("suspend")
RETRY: Final = OnError("retry")


def read_on_error(*words: str) -> Read:
    """Return a reader of some of the words, or of `{"goto": STEP}`."""

    def read(given: Any, field: str) -> OnError:
        if isinstance(given, Mapping) and given.keys() == {"goto"}:
            return OnError("goto", step_name(given["goto"], f"{field}.goto"))
        if isinstance(given, str) and given in words:
            return OnError(given)
        near = nearest(given, words) if isinstance(given, str) else None
        hint = f". Did you mean {near}?" if near else ""
        raise InvalidRequest(field, f'must be one of {", ".join(words)}, or {{"goto": STEP}}{hint}', given=given)

    return read


def written(value: OnError) -> Any:
    """Return the JSON form of an OnError."""
    return value.to_spec()
