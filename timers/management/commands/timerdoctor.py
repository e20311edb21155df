"""manage.py timerdoctor: one report of anything stuck, misconfigured or at risk."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

from django.core.management.base import CommandParser
from django.core.serializers.json import DjangoJSONEncoder

from timers import clock
from timers.insights.doctor import Finding, Report, examine
from timers.insights.words import plural
from timers.management.service_command import ServiceCommand
from timers.server.prepare import any_server

INDENT: Final = " " * 9


class Command(ServiceCommand):
    """Exit code 1 if something is wrong; infos alone leave it 0."""

    help = "Check for anything stuck, misconfigured or at risk; exit code 1 when something is wrong."
    requires_migrations_checks = True

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="One JSON object instead of text.")

    def execute(self, *args: Any, **options: Any) -> str | None:
        # A server that nodes reject is a finding, and must not end the doctor.
        with any_server():
            return super().execute(*args, **options)

    def handle(self, *args: Any, **options: Any) -> None:
        report = examine(clock.now())
        if options["json"]:
            content = {
                "healthy": report.healthy,
                "checks": report.checks,
                "findings": [asdict(f) for f in report.findings],
            }
            self.stdout.write(json.dumps(content, cls=DjangoJSONEncoder))
        else:
            self._print(report)
        if not report.healthy:
            sys.exit(1)

    def _print(self, report: Report) -> None:
        styles = {"error": self.style.ERROR, "warning": self.style.WARNING, "info": self.style.SUCCESS}
        for finding in report.findings:
            self.stdout.write(f"{styles[finding.severity](f'{finding.severity:<7}')}  {finding.what}")
            for line in _lines(finding):
                self.stdout.write(f"{INDENT}{line}")
        made = plural(report.checks, "check")
        if report.healthy:
            self.stdout.write(f"{made} made: nothing is wrong.")
        else:
            wrong = sum(finding.severity != "info" for finding in report.findings)
            self.stdout.write(f"{made} made: {plural(wrong, 'thing')} wrong.")


def _lines(finding: Finding) -> list[str]:
    lines = [", ".join(f"{name} {_word(value)}" for name, value in row.items()) for row in finding.evidence]
    return [f"- {line}" for line in lines] + ([f"> {finding.remedy}"] if finding.remedy else [])


def _word(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="seconds")
    if isinstance(value, float):
        return f"{value:,.1f}"
    return "-" if value in (None, "", []) else str(value)
