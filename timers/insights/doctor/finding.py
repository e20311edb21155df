"""What a check of the doctor returns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from django.db import connection

Severity = Literal["error", "warning", "info"]

EVIDENCE: Final = 10
"""The most rows that a finding shows."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it should be (error, warning), or that a person may want to know (info)."""

    severity: Severity
    what: str
    remedy: str = ""
    evidence: tuple[dict[str, Any], ...] = ()
    """Some of the rows that show it, EVIDENCE at most."""
    check: str = ""
    """The check that found it; filled in by examine()."""


@dataclass(frozen=True, slots=True)
class Report:
    """What the doctor found, the worst first."""

    findings: tuple[Finding, ...]
    checks: int
    """How many checks were made."""

    @property
    def healthy(self) -> bool:
        """Whether nothing is wrong; infos do not count."""
        return not any(finding.severity != "info" for finding in self.findings)


def rows(statement: str, params: Any = None) -> list[dict[str, Any]]:
    """The rows of a question, by column name."""
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        names = [column.name for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def shown(found: Sequence[dict[str, Any]], *columns: str) -> tuple[dict[str, Any], ...]:
    """The first rows as evidence, with all columns or the given ones."""
    return tuple({name: row[name] for name in columns or row} for row in found[:EVIDENCE])


def amount(found: Sequence[Any], cap: int, one: str, many: str = "") -> str:
    """How many were found, in words; what was cut off at the cap reads 1,000+."""
    number = f"{cap:,}+" if len(found) > cap else f"{len(found):,}"
    return f"{number} {one if len(found) == 1 else many or one + 's'}"
