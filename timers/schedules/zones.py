"""Time zones by their IANA names, and the edition of the rules in use."""

from __future__ import annotations

import difflib
import os
import re
import zoneinfo
from functools import cache, lru_cache
from importlib import import_module, resources
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from timers.exceptions import InvalidRequest

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(?:/[A-Za-z0-9_+-]+)*")
_LONGEST_NAME = 64
_LONGEST_COMPARED = 40
"""Longer names are not compared as misspelled zones: the longest zone name has 32 characters."""
_EDITION = re.compile(r"([0-9]{4})([a-z]+)")
# Files next to the zones: copies with leap seconds, the machine's own zone, a placeholder.
_NOT_ZONES = re.compile(r"(?:posix|right)/.*|localtime|posixrules|Factory")
_REGIONS = {
    "Europe/Berlin": "CEST MEZ MESZ",
    "Europe/Athens": "EEST",
    "Europe/Lisbon": "WEST",
    "Europe/London": "BST",
    "Europe/Moscow": "MSK",
    "America/New_York": "EDT ET",
    "America/Chicago": "CST CDT CT",
    "America/Denver": "MDT MT",
    "America/Los_Angeles": "PST PDT PT",
    "America/Anchorage": "AKST AKDT",
    "America/Sao_Paulo": "BRT",
    "Africa/Johannesburg": "SAST",
    "Asia/Dubai": "GST",
    "Asia/Kolkata": "IST",
    "Asia/Singapore": "SGT",
    "Asia/Hong_Kong": "HKT",
    "Asia/Seoul": "KST",
    "Asia/Tokyo": "JST",
    "Australia/Perth": "AWST",
    "Australia/Adelaide": "ACST ACDT",
    "Australia/Sydney": "AEST AEDT",
    "Pacific/Auckland": "NZST NZDT",
}
_REGION_OF = {abbreviation: region for region, words in _REGIONS.items() for abbreviation in words.split()}


def zone(name: Any, field: str = "time_zone") -> ZoneInfo:
    """Return the time zone of an IANA name such as Europe/Berlin.

    Raises InvalidRequest with the nearest names if unknown.
    """
    if not isinstance(name, str):
        raise InvalidRequest(field, "must be the name of a time zone, such as Europe/Berlin", given=name)
    found = _load(name)
    if found is None:
        raise InvalidRequest(field, f"is not a known time zone{_did_you_mean(name)}", given=name)
    return found


def use_newest_rules() -> None:
    """Use the zones of the tzdata package in this process if they are newer than the system's.

    zoneinfo itself prefers the system's, however old. A PYTHONTZPATH in the environment is intentional and is kept.
    """
    if "PYTHONTZPATH" not in os.environ and is_newer_edition(_package_edition(), edition()):
        zoneinfo.reset_tzpath(to=())
        ZoneInfo.clear_cache()
        _load.cache_clear()


def tzdata_version() -> str:
    """Return the edition of the rules in use and its source: "2026b (system)" or "2026b (package)"."""
    for folder in zoneinfo.TZPATH:
        if (Path(folder) / "UTC").is_file():
            return f"{_system_edition(Path(folder))} (system)"
    return f"{_package_edition()} (package)"


def edition() -> str:
    """Return the edition of the rules in use, such as "2026b"; "unknown" if the system's copy has none."""
    return tzdata_version().partition(" ")[0]


def is_newer_edition(edition: str, than: str) -> bool:
    """Return whether an edition is newer than another; any known one counts as newer than an unknown one."""
    return _edition_order(edition) > _edition_order(than)


@lru_cache(maxsize=1024)
def _load(name: str) -> ZoneInfo | None:
    if len(name) > _LONGEST_NAME or not _NAME.fullmatch(name) or _NOT_ZONES.fullmatch(name):
        return None
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown; a file that is not a zone; a folder such as "America"
        return None


def _did_you_mean(name: str) -> str:
    if len(name) > _LONGEST_COMPARED:
        return ""
    if (region := _REGION_OF.get(name.upper())) is not None:
        return f" but an abbreviation: name a region, such as {region}"
    by_lower_case = _names_by_lower_case()
    wanted = name.lower()
    near = [wanted] if wanted in by_lower_case else difflib.get_close_matches(wanted, by_lower_case, n=3, cutoff=0.7)
    return f", did you mean {' or '.join(by_lower_case[n] for n in near)}?" if near else ""


@cache
def _names_by_lower_case() -> dict[str, str]:
    # The package's list is one small file; zoneinfo.available_timezones() opens every zone file.
    names = resources.files("tzdata").joinpath("zones").read_text(encoding="utf-8").split()
    return {name.lower(): name for name in names}


def _edition_order(edition: str) -> tuple[int, int, str]:
    """Return year and letter for sorting; a year with more than 26 editions would continue with two letters."""
    found = _EDITION.match(edition)
    return (0, 0, "") if found is None else (int(found[1]), len(found[2]), found[2])


def _package_edition() -> str:
    return str(import_module("tzdata").IANA_VERSION)


@cache
def _system_edition(folder: Path) -> str:
    try:
        with (folder / "tzdata.zi").open(encoding="utf-8") as rules:
            first_line = rules.readline()
        return first_line.removeprefix("# version ").strip() if first_line.startswith("# version ") else "unknown"
    except OSError:
        return "unknown"
