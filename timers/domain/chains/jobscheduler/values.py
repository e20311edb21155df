"""Parse values in JobScheduler's notation: yes and no, times, integers, return codes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from timers.domain.chains.jobscheduler.xml_text import Element

_TIME: Final = re.compile(r"(\d{1,6}):([0-5]?\d)(?::([0-5]?\d))?")
_SECONDS: Final = re.compile(r"\d{1,9}(?:\.\d{1,6})?")
_WHOLE: Final = re.compile(r"\d{1,9}")
_CODE: Final = re.compile(r"-?\d{1,9}")
_RANGE: Final = re.compile(r"(-?\d{1,9})\.\.(-?\d{1,9})")
_YES: Final = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}


def read_flag(element: Element, subject: str, name: str, default: bool) -> bool:
    """Parse a yes or no. Raises InvalidRequest."""
    given = element.attributes.get(name)
    if given is None:
        return default
    if given.strip().lower() not in _YES:
        raise element.error(f"{subject}@{name}", "must be yes or no", given=given)
    return _YES[given.strip().lower()]


def read_seconds(element: Element, subject: str, name: str) -> float | None:
    """Parse a time to seconds: 90, 1.5, HH:MM or HH:MM:SS; None if it is missing. Raises InvalidRequest."""
    given = element.attributes.get(name)
    if given is None:
        return None
    if _SECONDS.fullmatch(given.strip()):
        seconds = float(given)
        return int(seconds) if seconds.is_integer() else seconds
    found = _TIME.fullmatch(given.strip())
    if found is None:
        raise element.error(f"{subject}@{name}", "must be seconds, HH:MM or HH:MM:SS", given=given)
    hours, minutes, seconds_ = (int(each or 0) for each in found.groups())
    return hours * 3600 + minutes * 60 + seconds_


def read_whole(element: Element, subject: str, name: str) -> int | None:
    """Parse an integer; None if it is missing. Raises InvalidRequest."""
    given = element.attributes.get(name)
    if given is None:
        return None
    if not _WHOLE.fullmatch(given.strip()):
        raise element.error(f"{subject}@{name}", "must be a whole number", given=given)
    return int(given)


@dataclass(frozen=True, slots=True)
class ReturnCodes:
    """The return codes of one `<on_return_code>`, as conditions on a variable."""

    conditions: tuple[Any, ...]
    """Conditions on the return code, in the language of filters; one of them must hold."""
    is_any_error: bool
    """Whether it is every code other than 0."""


def read_return_codes(element: Element, subject: str) -> ReturnCodes:
    """Parse numbers, ranges such as 3..5, and the words success and error, separated by spaces.

    Raises InvalidRequest.
    """
    single: list[int] = []
    ranges: list[dict[str, int]] = []
    is_any_error = False
    given = element.attributes.get("return_code", "")
    for word in given.split():
        if word == "error":
            is_any_error = True
        elif word == "success":
            single.append(0)
        elif _CODE.fullmatch(word):
            single.append(int(word))
        elif (found := _RANGE.fullmatch(word)) and int(found[1]) <= int(found[2]):
            ranges.append({"at_least": int(found[1]), "at_most": int(found[2])})
        else:
            what = "must be return codes such as 0, 1..5, success or error, with spaces between them"
            raise element.error(f"{subject}@return_code", what, given=word)
    if not given.split():
        raise element.error(f"{subject}@return_code", "is missing. Name the return codes.")
    conditions: list[Any] = []
    if single:
        conditions.append(single[0] if len(single) == 1 else {"in": single})
    return ReturnCodes((*conditions, *ranges), is_any_error)
