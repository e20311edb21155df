"""Cron expressions: which walls match, independent of the time zone.

The five fields have the meaning of Debian's cron (crontab(5)): numbers, names, lists, ranges, steps, and the two day
fields joined by OR unless one of them begins with a star. Six fields begin with the second, seven end with the year.
`L`, `L-3`, `LW`, `15W`, `5L`, `5#2` and `?` come from Quartz, `H` from Jenkins.

A Quartz expression needs one change: Quartz counts the days of the week from 1 (Sunday) to 7 (Saturday); here, as in
cron, 0 and 7 are Sunday. Subtract 1 from each number of a weekday, or use names.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Self

from timers.exceptions import InvalidRequest
from timers.schedules.cron_fields import (
    ALL_FIELDS,
    DAY_OF_MONTH,
    DAY_OF_WEEK,
    CronField,
    NotUnderstood,
    Terms,
)  # fmt: skip
from timers.schedules.cron_words import explain
from timers.schedules.day_rules import DayRule, DayTerm, Numbers, Weekdays
from timers.schedules.never import why_never
from timers.schedules.times_of_day import ClockTimes
from timers.schedules.wall_pattern import WallPattern

LONGEST = 256  # characters
LONGEST_SEED = 1_024
ALIASES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
# Jenkins' meaning of the aliases; there the plain ones already have it.
HASHED_ALIASES = {
    "@hourly H": "H * * * *",
    "@daily H": "H H * * *",
    "@midnight H": "H H(0-2) * * *",
    "@weekly H": "H H * * H",
    "@monthly H": "H H H * *",
    "@yearly H": "H H H H *",
    "@annually H": "H H H H *",
}
_ALL_ALIASES = {alias.upper(): text for alias, text in {**ALIASES, **HASHED_ALIASES}.items()}
_FOREIGN = re.compile(r"[^!-~ \t]")


@dataclass(frozen=True, slots=True)
class CronExpression:
    """A cron expression of 5 fields, of 6 with seconds first, of 7 with the year last, or an alias such as @daily."""

    text: str
    seed: str | None
    """Determines the values of H; None if the expression has none."""
    pattern: WallPattern = field(repr=False, compare=False)
    _fields: tuple[str, ...] = field(repr=False, compare=False)

    @classmethod
    def parse(cls, given: Any, seed: Any = None) -> Self:
        """Parse an expression. Raises InvalidRequest that names the invalid fields and their valid values."""
        text = _normalised(given)
        texts = _expanded(text).split()
        if len(texts) not in (5, 6, 7):
            raise _wrong_number(text, texts)
        seed = _seed(seed) if any("H" in field_text for field_text in texts) else None
        fields = ALL_FIELDS[1:6] if len(texts) == 5 else ALL_FIELDS[: len(texts)]
        read = _read(text, texts, fields, seed)
        if len(texts) == 5:
            texts, read = ["0", *texts], [Terms(frozenset([0])), *read]
        pattern = _pattern(texts, read)
        if not pattern.ever_matches():
            raise _never(text, texts, pattern)
        return cls(text, seed if _is_hashed(texts) else None, pattern, tuple(texts))

    @property
    def names_fixed_times(self) -> bool:
        """Whether it names times of the day, instead of repeating through every minute or hour.

        As in Debian's cron: neither the minute nor the hour begins with a star. An expression that names times of the
        day must run once each day, also on days with a clock change.
        """
        return not self._fields[1].startswith("*") and not self._fields[2].startswith("*")

    def explain(self) -> str:
        """Describe the expression: "at 02:30 every day"."""
        return explain(self._fields, self.pattern)


def _read(text: str, texts: list[str], fields: tuple[CronField, ...], seed: str | None) -> list[Terms]:
    if texts.count("?") > 1:
        raise InvalidRequest(
            "expression", "has ? in both day fields, so that no day is said; write * in one", given=text
        )
    read = []
    for field_, field_text in zip(fields, texts, strict=True):
        try:
            is_open = field_text == "?" and field_ in (DAY_OF_MONTH, DAY_OF_WEEK)
            read.append(field_.read("*" if is_open else field_text, seed))
        except NotUnderstood as reason:
            raise _refused(text, field_, reason) from None
    return read


def _pattern(texts: list[str], read: list[Terms]) -> WallPattern:
    seconds, minutes, hours, days, months, weekdays = (tuple(sorted(terms.values)) for terms in read[:6])
    every_day = texts[3] in ("*", "?")
    every_weekday = texts[5] in ("*", "?")
    rule = DayRule(
        None if every_day else _terms(Numbers(frozenset(days)) if days else None, read[3]),
        None if every_weekday else _terms(Weekdays(frozenset(weekdays)) if weekdays else None, read[5]),
        either=not any(texts[at].startswith(("*", "?")) for at in (3, 5)),
    )
    years = tuple(sorted(read[6].values)) if len(read) == 7 and texts[6] != "*" else None
    return WallPattern(ClockTimes(hours, minutes, seconds), rule, months, years)


def _terms(plain: DayTerm | None, terms: Terms) -> tuple[DayTerm, ...]:
    return (plain, *terms.days) if plain is not None else terms.days


def _is_hashed(texts: list[str]) -> bool:
    return any(term.startswith("H") for text in texts for term in text.split(","))


def _normalised(given: Any) -> str:
    if not isinstance(given, str):
        raise InvalidRequest("expression", "must be a cron expression, such as 30 2 * * *", given=given)
    if len(given) > LONGEST:
        raise InvalidRequest("expression", f"has more than {LONGEST} characters", given=given)
    foreign = _FOREIGN.search(given)
    if foreign:
        raise InvalidRequest("expression", f"holds {foreign[0]!r}, which no cron expression has", given=given)
    return " ".join(given.split())


def _expanded(text: str) -> str:
    upper = text.upper()
    if not text.startswith("@"):
        return upper
    if upper == "@REBOOT":
        raise InvalidRequest("expression", "@reboot names no instant: a timer here outlives every start", given=text)
    if upper not in _ALL_ALIASES:
        allowed = f"{', '.join(ALIASES)}, each also with H after it"
        raise InvalidRequest("expression", f"is no known alias; allowed are {allowed}", given=text)
    return _ALL_ALIASES[upper]


def _seed(seed: Any) -> str | None:
    if seed is None:
        return None
    if not isinstance(seed, str) or not seed or len(seed) > LONGEST_SEED:
        raise InvalidRequest("seed", f"must be a text of 1 to {LONGEST_SEED:,} characters", given=seed)
    try:
        seed.encode()
    except UnicodeEncodeError:
        raise InvalidRequest("seed", "holds half a character (a lone surrogate)", given=seed) from None
    return seed


def _wrong_number(text: str, texts: list[str]) -> InvalidRequest:
    meant = ""
    if len(texts) == 4:
        meant = f"; with every day of the week it would be {' '.join([*text.split(), '*'])}"
    return InvalidRequest(
        "expression",
        f"has {len(texts)} {'field' if len(texts) == 1 else 'fields'}; allowed are 5 (minute hour day-of-month month "
        f"day-of-week), 6 (seconds first), 7 (seconds first, year last), or an alias such as @daily{meant}",
        given=text,
    )


def _refused(text: str, field_: CronField, reason: NotUnderstood) -> InvalidRequest:
    written = re.search(re.escape(reason.term), text, re.IGNORECASE)
    term = written[0] if written else reason.term
    why = f" ({reason.why})" if reason.why else ""
    instead = f"; did you mean {reason.instead}?" if reason.instead else ""
    allowed = f"allowed are {field_.allowed}, *, rising ranges a-b, steps /n, lists, H"
    return InvalidRequest("expression", f"has {term!r} as {field_.name}{why}; {allowed}{instead}", given=text)


def _never(text: str, texts: list[str], pattern: WallPattern) -> InvalidRequest:
    days, months, weekdays = texts[3:6]
    in_years = f" in {texts[6]}" if len(texts) == 7 else ""
    why = f"no {days} day-of-month is ever a {weekdays} day-of-week in month {months}{in_years}"
    if (missing := why_never(pattern)) is not None:
        why = f"{missing}; L is the last day of every month"
    return InvalidRequest("expression", f"never fires: {why}", given=text)
