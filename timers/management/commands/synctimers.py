"""manage.py synctimers: make timers and chains match their declarations in code, or in a file."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Any, Final

from django.core.management.base import CommandError, CommandParser

from timers import declaring
from timers.control.declaration import Declared
from timers.control.sync import reconcile
from timers.control.sync_report import VERBS, Reconciled, Verb
from timers.declared_files.reader import read_declarations
from timers.exceptions import InvalidRequest, TimersError
from timers.insights.words import in_flight_words, plural
from timers.management.service_command import ServiceCommand

_MARKS: Final[dict[Verb, str]] = {
    "created": "+", "updated": "~", "paused": "-", "resumed": "+",
    "stopped": "-", "started": "+", "kept": "=", "conflicts": "!", "over": " ",
}  # fmt: skip


class Command(ServiceCommand):
    """Exit code 1 for conflicts and errors; on an error nothing is written, and conflicting timers are not changed."""

    help = (
        "Create, update, pause and resume timers, and create, update, stop and start chains, as they are declared in"
        " code, or in a YAML file. Deletes none."
    )
    requires_migrations_checks = True

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--file", metavar="timers.yaml", help="A file of declarations, instead of the code's.")
        parser.add_argument(
            "--owner", metavar="PROGRAM", help="Whose declarations they are. Default: TIMERS_DECLARATION_OWNER."
        )
        parser.add_argument(
            "--take-over", metavar="PROGRAM", default="", help="The program had this name: its timers stay its own."
        )
        parser.add_argument("--dry-run", action="store_true", help="Show what would be done, and do nothing.")
        parser.add_argument("--json", action="store_true", help="One JSON object instead of text.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            report = reconcile(
                self._declared(options["file"]),
                owner=options["owner"],
                take_over=options["take_over"],
                dry_run=options["dry_run"],
                actor="manage.py",
            )
        except InvalidRequest as error:
            if options["json"]:
                self.stdout.write(json.dumps({"errors": [asdict(problem) for problem in error.problems]}))
                sys.exit(1)
            raise CommandError("\n".join(f"{problem.field}: {problem.message}" for problem in error.problems)) from None
        except TimersError as error:
            raise CommandError(str(error)) from None
        if options["json"]:
            content = {**asdict(report), "dry_run": options["dry_run"], "words": report.words}
            self.stdout.write(json.dumps(content))
        else:
            self._print(report, options["dry_run"])
        if report.conflicts:
            sys.exit(1)

    def _declared(self, file: str | None) -> Declared:
        return declaring.declarations() if file is None else read_declarations(file)

    def _print(self, report: Reconciled, dry_run: bool) -> None:
        styles = {"+": self.style.SUCCESS, "~": self.style.WARNING, "-": self.style.WARNING, "!": self.style.ERROR}
        for verb, words in (*VERBS, ("over", "not made")):
            for entry in report.entries(verb):
                style = styles.get(_MARKS[verb], str)
                self.stdout.write(style(f"{_MARKS[verb]} {words} {entry}{f': {entry.why}' if entry.why else ''}"))
                for change in entry.changes:
                    self.stdout.write(f"    {change}")
                if entry.in_flight:
                    self.stdout.write(f"    {in_flight_words(entry.in_flight)}")
        if dry_run:
            self.stdout.write(f"Dry run, nothing was written. {report.words}")
        else:
            self.stdout.write(report.words)
        if report.conflicts:
            number = plural(len(report.conflicts), "name")
            self.stderr.write(f"{number} in conflict, left alone: declare other names, or cancel what has them.")
