"""FailedFilter: a selection of failed executions."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from typing import Any, Final

from timers.exceptions import InvalidRequest
from timers.models import TimerGroup
from timers.models.group import NAME_LENGTH
from timers.schedules.instant import parse_instant

CONDITIONS: Final = ("group", "timer", "fingerprint", "error_contains", "failed_before", "failed_after")
ALL: Final = "all"
LONGEST_TEXT: Final = 500
"""Maximum number of characters of `error_contains`."""


@dataclass(frozen=True, slots=True)
class FailedFilter:
    """Conditions that must all hold; None means no condition.

    A `fingerprint` of "" selects executions without one (lost or discarded attempts). `failed_before` and
    `failed_after` are by the database clock; `failed_after` is inclusive.
    """

    group: str | None = None
    timer: str | None = None
    fingerprint: str | None = None
    error_contains: str | None = None
    failed_before: datetime | None = None
    failed_after: datetime | None = None

    @classmethod
    def parse(cls, given: Any, groups: Collection[str] | None = None) -> FailedFilter:
        """Validate a given filter; {"all": true} is required to select every failed execution.

        Args:
            given: the filter of a person or program.
            groups: names of the groups that the actor may see; None: all.

        Raises:
            InvalidRequest: with all errors, each field as `filter.<name>`.
        """
        if not isinstance(given, Mapping):
            raise InvalidRequest("filter", "must be an object of conditions", given=given)
        conditions = {key: value for key, value in given.items() if value is not None}
        errors = [_unknown(key) for key in conditions if key not in (*CONDITIONS, ALL)]
        if conditions.pop(ALL, False) is not False:
            if given[ALL] is not True:
                errors.append(InvalidRequest("filter.all", "must be true", given=given[ALL]))
            elif set(CONDITIONS) & set(conditions):
                errors.append(
                    InvalidRequest("filter.all", "means every failed execution; leave it out, or the conditions")
                )
        elif not conditions:
            errors.append(
                InvalidRequest(
                    "filter", f'has no condition: give {", ".join(CONDITIONS)}, or {{"all": true}} for every one'
                )
            )
        read: dict[str, Callable[[Any], Any]] = {
            "group": lambda value: _group(value, groups),
            "timer": lambda value: _text("timer", value, NAME_LENGTH),
            "fingerprint": _fingerprint,
            "error_contains": lambda value: _text("error_contains", value, LONGEST_TEXT),
            "failed_before": lambda value: parse_instant(value, "filter.failed_before"),
            "failed_after": lambda value: parse_instant(value, "filter.failed_after"),
        }
        values: dict[str, Any] = {}
        for name in CONDITIONS:
            if name in conditions:
                try:
                    values[name] = read[name](conditions[name])
                except InvalidRequest as error:
                    errors.append(error)
        before, after = values.get("failed_before"), values.get("failed_after")
        if before is not None and after is not None and before <= after:
            errors.append(
                InvalidRequest("filter.failed_before", "must be after failed_after", given=before.isoformat())
            )
        if errors:
            raise InvalidRequest.combined(errors)
        return cls(**values)

    @classmethod
    def stored(cls, spec: Mapping[str, Any]) -> FailedFilter:
        """Load a filter stored by `to_spec`; it was validated before, and its group may have been deleted since."""
        values = {name: spec[name] for name in CONDITIONS if name in spec}
        for name in ("failed_before", "failed_after"):
            if name in values:
                values[name] = datetime.fromisoformat(values[name])
        return cls(**values)

    def to_spec(self) -> dict[str, Any]:
        """Return the filter as JSON."""
        values = {name: getattr(self, name) for name in CONDITIONS}
        spec = {
            name: value.isoformat() if isinstance(value, datetime) else value
            for name, value in values.items()
            if value is not None
        }
        return spec or {ALL: True}

    def where(self, *, in_groups: bool) -> str:
        """Return an SQL condition over timers_waiting w; empty: there is none.

        `in_groups`: the condition is limited to the groups in the parameter group_ids.
        """
        conditions = {
            "w.group_id = ANY(%(group_ids)s::bigint[])": in_groups,
            "w.name = %(timer)s": self.timer,
            "w.error_fingerprint = %(fingerprint)s": self.fingerprint,
            "w.error_fingerprint IS NULL": self.fingerprint == "",
            "strpos(lower(w.error_title || ' ' || w.reason), lower(%(error_contains)s)) > 0": self.error_contains,
            "w.changed_at < %(failed_before)s": self.failed_before,
            "w.changed_at >= %(failed_after)s": self.failed_after,
        }
        return " AND ".join(condition for condition, given in conditions.items() if given)

    def params(self) -> dict[str, Any]:
        """Return the parameters of the SQL condition."""
        return {name: getattr(self, name) for name in CONDITIONS}


def _unknown(key: Any) -> InvalidRequest:
    close = get_close_matches(str(key), (*CONDITIONS, ALL), 1)
    meant = f"did you mean {close[0]}?" if close else f"there are {', '.join(CONDITIONS)}, all"
    return InvalidRequest(f"filter.{key}", f"is no condition; {meant}")


def _group(value: Any, groups: Collection[str] | None) -> str:
    name = _text("group", value, NAME_LENGTH)
    known = set(TimerGroup.objects.values_list("name", flat=True)) if groups is None else set(groups)
    if name in known and (groups is None or TimerGroup.objects.filter(name=name).exists()):
        return name
    close = get_close_matches(name, known, 1)
    raise InvalidRequest(
        "filter.group", f"there is no group {name!r}" + (f"; did you mean {close[0]!r}?" if close else "")
    )


def _text(name: str, value: Any, longest: int) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= longest or not value.replace("\n", " ").isprintable():
        raise InvalidRequest(f"filter.{name}", f"must be printable text of 1 to {longest} characters", given=value)
    return value


def _fingerprint(value: Any) -> str:
    if not isinstance(value, str) or len(value) > 32 or not ((value.isalnum() and value.isascii()) or not value):
        raise InvalidRequest(
            "filter.fingerprint", "must be a fingerprint as the list of failures shows it", given=value
        )
    return value
