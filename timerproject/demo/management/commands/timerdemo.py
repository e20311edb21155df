"""manage.py timerdemo: create the demo's timers, or delete them."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from timerproject.demo import scenery
from timers.exceptions import TimersError

LOOK_AT = """
Look at
  manage.py timercluster                        the cluster and what fires next
  the ledger (console, admin: history)          who ran which vendor; NumberOfTry 1, 2, 3 of the held message
  the orders of the chain shop/import-order     their steps, branches, and large ones that wait for an approval
  the failed execution of troubles/always-fails its payload is kept: mend and retry it, or dismiss it
manage.py timerdemo --clear takes all of it away.
"""


class Command(BaseCommand):
    """Creates the demo; a second run only starts again what has ended."""

    help = "Make the demo's timers (those that live already are kept), or clear them away."
    requires_migrations_checks = True

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--clear", action="store_true", help="Take away what the demo made; its history stays.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            if options["clear"]:
                self._clear()
            else:
                self._make()
        except TimersError as error:
            raise CommandError(str(error)) from error

    def _make(self) -> None:
        made = scenery.make()
        width = max(len(f"{timer.group}/{timer.name}") for timer in made)
        for timer in made:
            self.stdout.write(f"{timer.result:<8}  {f'{timer.group}/{timer.name}':<{width}}  {timer.what}")
        self.stdout.write(LOOK_AT.rstrip())

    def _clear(self) -> None:
        cleared = scenery.clear()
        if cleared.groups:
            self.stdout.write(f"Deleted with all their timers: {', '.join(cleared.groups)}. Their history stays.")
        for reason in cleared.kept:
            self.stdout.write(reason)
        if cleared.cancelled:
            self.stdout.write(f"Cancelled: {cleared.cancelled} timers.")
        if not (cleared.groups or cleared.kept):
            self.stdout.write("There is nothing of the demo here.")
