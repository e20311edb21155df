"""Public holidays by country and subdivision, from the package `holidays`."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from importlib import import_module
from types import ModuleType
from typing import Any, Self

from timers.exceptions import InvalidRequest
from timers.schedules.excluded_days import row_of

# The same names on every node, whatever its environment; a country without English names has its own.
_LANGUAGE = "en_US"


@dataclass(frozen=True, slots=True)
class PublicHolidays:
    """The public holidays of a country, or of one of its subdivisions."""

    country: str
    """Two-letter ISO 3166-1 code."""
    subdivision: str | None = None
    categories: tuple[str, ...] = ()
    """Categories such as "bank" or "school"; empty: the public ones."""

    @classmethod
    def parse(cls, rule: Mapping[str, Any], field: str) -> Self:
        """Parse the rule {"holidays": "DE", "subdivision": "BY"}. Raises InvalidRequest that names the known values."""
        country = _country(rule["holidays"], f"{field}.holidays")
        subdivision = _subdivision(rule.get("subdivision"), country, f"{field}.subdivision")
        categories = _categories(rule.get("categories"), country, f"{field}.categories")
        return cls(country, subdivision, categories)

    def reason(self, day: date) -> str | None:
        """Return the name of the holiday on the day: "Christmas Day (holidays DE)"."""
        name = _names(self.country, self.subdivision, self.categories, day.year).get(day)
        return None if name is None else f"{name} (holidays {self.where})"

    def row(self, year: int) -> bytes:
        return row_of(year, _names(self.country, self.subdivision, self.categories, year))

    @property
    def where(self) -> str:
        """Country and subdivision: DE, or DE-BY."""
        return self.country if self.subdivision is None else f"{self.country}-{self.subdivision}"

    def to_spec(self) -> dict[str, Any]:
        spec: dict[str, Any] = {"holidays": self.country}
        if self.subdivision is not None:
            spec["subdivision"] = self.subdivision
        if self.categories:
            spec["categories"] = list(self.categories)
        return spec


@lru_cache(maxsize=4096)
def _names(country: str, subdivision: str | None, categories: tuple[str, ...], year: int) -> dict[date, str]:
    days = _package().country_holidays(
        country, subdiv=subdivision, years=year, language=_LANGUAGE, categories=categories or None
    )
    return {day: name for day, name in days.items() if day.year == year}


def _package(field: str = "holidays") -> ModuleType:
    """Return the package, which is loaded when first needed: loading takes as long as all other schedule modules."""
    try:
        return import_module("holidays")
    except ImportError:
        raise InvalidRequest(
            field, "needs the package holidays: install it on every node (pip install holidays)"
        ) from None


def _country(given: Any, field: str) -> str:
    _package(field)
    expected = "must be the code of a country, such as DE or US"
    if not isinstance(given, str) or not given.strip() or len(given) > 64:
        raise InvalidRequest(field, expected, given=given)
    text = given.strip().upper()
    codes = _codes()
    if text not in codes:
        whole, _, part = text.partition("-")
        if part and whole in codes:
            raise InvalidRequest(field, f"{expected}; give the subdivision by itself: {part}", given=given)
        near = difflib.get_close_matches(text.replace(" ", ""), codes, n=1, cutoff=0.8 if len(text) > 3 else 0.99)
        hint = f", did you mean {codes[near[0]]}?" if near else ""
        raise InvalidRequest(field, f"{expected}; no holidays are known for this one{hint}", given=given)
    return codes[text]


@lru_cache(maxsize=1)
def _codes() -> dict[str, str]:
    """Return the two-letter codes of all countries by their codes and names."""
    from holidays.registry import COUNTRIES  # next to the package itself, which may not be installed

    return {name.upper(): codes[1] for codes in COUNTRIES.values() for name in codes[:3]} | {"UK": "GB"}


def _subdivision(given: Any, country: str, field: str) -> str | None:
    if given is None or given == "":
        return None
    calendar = _package().country_holidays(country, years=[])
    known: dict[str, str] = {code.upper(): code for code in calendar.subdivisions}
    known |= {alias.upper(): code for alias, code in getattr(calendar, "subdivisions_aliases", {}).items()}
    text = str(given).strip().upper().removeprefix(f"{country}-")
    if not isinstance(given, str) or text not in known:
        codes = ", ".join(calendar.subdivisions) or "none"
        near = difflib.get_close_matches(text, known, n=1, cutoff=0.75)
        hint = f", did you mean {known[near[0]]}?" if near else ""
        raise InvalidRequest(field, f"is no subdivision of {country}{hint}; known are {codes}", given=given)
    return known[text]


def _categories(given: Any, country: str, field: str) -> tuple[str, ...]:
    if given is None:
        return ()
    known = _package().country_holidays(country, years=[]).supported_categories
    if not isinstance(given, (list, tuple)) or not given or any(category not in known for category in given):
        raise InvalidRequest(field, f"must be a list of some of {', '.join(known)}", given=given)
    return tuple(sorted(set(given)))
