"""manage.py createapplicationkey: create a key for a program, and print it this once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from django.core.management.base import CommandError, CommandParser

from timers import clock
from timers.control.keys import create_key
from timers.exceptions import FieldProblem, InvalidRequest, TimersError
from timers.management.service_command import ServiceCommand
from timers.models import ApplicationKey
from timers.schedules.duration import parse_duration
from timers.security.scopes import not_allowed

_OPTIONS: Final = {
    "scopes": "--scope", "groups": "--group", "all_groups": "--all-groups", "expires_at": "--expires",
    "expires": "--expires", "allowed_addresses": "--allow", "rate": "--rate", "user": "--user",
}  # fmt: skip
"""The options of the command for a key's fields, as used in error messages."""


class Command(ServiceCommand):
    """Only the key goes to stdout, so that `KEY=$(manage.py createapplicationkey ...)` works."""

    help = "Create an application key and print it; it cannot be shown again. Notes go to standard error."
    requires_migrations_checks = True

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="The program that will hold it, as it appears in records.")
        parser.add_argument(
            "--user", required=True, help="The user it acts for. Its permissions never exceed this user's."
        )
        parser.add_argument(
            "--scope", action="append", required=True, metavar="SCOPE",
            help=f"{', '.join(ApplicationKey.Scope.values)} (which includes the others); may be given again.",
        )  # fmt: skip
        parser.add_argument("--group", action="append", help="A group that it is for; may be given again.")
        parser.add_argument("--all-groups", action="store_true", help="It is for every group, also later ones.")
        parser.add_argument(
            "--expires", metavar="WHEN", help="An instant such as 2027-01-31T00:00:00Z, or after how long, as P90D."
        )
        parser.add_argument(
            "--allow", action="append", default=[], metavar="NETWORK",
            help="A network that it may be used from, as 10.20.0.0/16; may be given again. Absent: from everywhere.",
        )  # fmt: skip
        parser.add_argument("--rate", type=float, help="Requests per second in each web process.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            row, text = create_key(
                options["name"], user=options["user"], scopes=options["scope"], groups=options["group"],
                all_groups=options["all_groups"], allowed_addresses=options["allow"],
                expires_at=_expiry(options["expires"]), rate=options["rate"], actor="manage.py",
            )  # fmt: skip
        except InvalidRequest as error:
            raise CommandError("\n".join(_in_words_of_options(problem) for problem in error.problems)) from None
        except TimersError as error:
            raise CommandError(str(error)) from None
        for scope, permissions in not_allowed(row.user, row.scopes).items():
            self.stderr.write(
                f"{options['user']} may not {scope} yet, and so neither may the key; needed: {', '.join(permissions)}."
            )
        until = "with no end" if row.expires_at is None else f"until {row.expires_at:%Y-%m-%d %H:%M:%S %Z}"
        self.stderr.write(f"The key {row.name} holds from now on, {until}. It is not shown again:")
        self.stdout.write(text)


def _in_words_of_options(problem: FieldProblem) -> str:
    message = problem.message.replace("all_groups", _OPTIONS["all_groups"])
    if problem.field == "expires_at" and "must be" in message:
        message += "; or a length of time from now, such as P90D"
    return f"{_OPTIONS.get(problem.field, problem.field)}: {message}"


def _expiry(given: str | None) -> Any:
    """Return the text of an instant unchanged; of a duration, the instant after it."""
    if given is None or not given.startswith("P"):
        return given
    return clock.now() + timedelta(microseconds=parse_duration(given, "expires"))
