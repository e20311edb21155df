"""Result of a check of the doctor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from timers.database import connection

Severity = Literal["error", "warning", "info"]

EVIDENCE: Final = 10
"""Maximum number of rows that a finding shows."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem (error, warning) or a fact worth knowing (info)."""

    severity: Severity
    what: str
    remedy: str = ""
    evidence: tuple[dict[str, Any], ...] = ()
    """Up to EVIDENCE rows that show the problem."""
    check: str = ""
    """Name of the check that found it; set by examine()."""


@dataclass(frozen=True, slots=True)
class Report:
    """The doctor's findings, the most severe first."""

    findings: tuple[Finding, ...]
    checks: int
    """Number of checks that were run."""

    @property
    def healthy(self) -> bool:
        """Whether there is no error and no warning."""
        return not any(finding.severity != "info" for finding in self.findings)


def rows(statement: str, params: Any = None) -> list[dict[str, Any]]:
    """Run a query and return its rows as dicts by column name."""
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        names = [column.name for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def shown(found: Sequence[dict[str, Any]], *columns: str) -> tuple[dict[str, Any], ...]:
    """Return the first rows as evidence, with all columns or the given ones."""
    return tuple({name: row[name] for name in columns or row} for row in found[:EVIDENCE])


def amount(found: Sequence[Any], cap: int, one: str, many: str = "") -> str:
    """Format the number of rows found; a number at the cap reads 1,000+."""
    number = f"{cap:,}+" if len(found) > cap else f"{len(found):,}"
    return f"{number} {one if len(found) == 1 else many or one + 's'}"
