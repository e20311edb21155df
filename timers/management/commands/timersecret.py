"""manage.py timersecret: create, replace, list and delete the credentials that timers use."""

from __future__ import annotations

import sys
from datetime import timedelta
from getpass import getpass
from typing import Any

from django.core.management.base import CommandError, CommandParser

from timers.control.secrets import create_secret, delete_secret, limit_secret, replace_secret
from timers.exceptions import TimersError
from timers.insights.secrets import secrets
from timers.management.service_command import ServiceCommand
from timers.models import Secret


class Command(ServiceCommand):
    """A value is prompted for, or read from stdin; it is never on the command line, and never shown again."""

    help = "Keep the secrets that http actions refer to: passwords, tokens, signing keys, certificates to trust."
    requires_migrations_checks = True

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="list|create|replace|limit|delete")
        verbs.add_parser("list", help="Show what is kept, without the values.")
        for verb, words in (("create", "Keep a secret."), ("replace", "Give it another value.")):
            one = verbs.add_parser(verb, help=words)
            one.add_argument("name")
            one.add_argument("--generate", action="store_true", help="Make a signing key, and print it this once.")
            if verb == "create":
                one.add_argument("--kind", choices=Secret.Kind.values, default=Secret.Kind.TEXT)
                one.add_argument("--description", default="")
                _add_scope(one)
            else:
                one.add_argument(
                    "--overlap", type=float, default=24, metavar="HOURS", help="How long the old signing key signs too."
                )
        limit = verbs.add_parser(
            "limit", help="Say again whose timers may use it, where it may be sent, and what it is."
        )
        limit.add_argument("name")
        limit.add_argument("--description")
        _add_scope(limit)
        verbs.add_parser("delete", help="Delete a secret that nothing refers to.").add_argument("name")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            getattr(self, f"_{options['verb']}")(options)
        except TimersError as error:
            raise CommandError(str(error)) from None

    def _list(self, options: dict[str, Any]) -> None:
        for secret in secrets():
            bounds = [f"groups {', '.join(secret.groups)}"] if secret.groups else []
            bounds += [] if secret.groups or secret.all_groups else ["no group: its groups were deleted"]
            bounds += [f"hosts {', '.join(secret.hosts)}"] if secret.hosts else []
            self.stdout.write(
                f"{secret.name}  {secret.kind}  key {secret.key}  changed {secret.updated_at:%Y-%m-%d %H:%M}"
                f"  {'; '.join(bounds) or 'for all groups and hosts'}"
            )

    def _create(self, options: dict[str, Any]) -> None:
        made = create_secret(
            options["name"], self._value(options), kind=options["kind"], groups=options["group"] or [],
            hosts=options["host"] or [], description=options["description"], actor="manage.py",
        )  # fmt: skip
        self._say(made, f"The secret {options['name']} is kept.")

    def _replace(self, options: dict[str, Any]) -> None:
        overlap = timedelta(hours=options["overlap"])
        made = replace_secret(options["name"], self._value(options), overlap=overlap, actor="manage.py")
        self._say(made, f"The secret {options['name']} has another value.")

    def _limit(self, options: dict[str, Any]) -> None:
        limit_secret(
            options["name"], groups=options["group"], hosts=options["host"], description=options["description"],
            actor="manage.py",
        )  # fmt: skip
        self.stdout.write(f"The bounds of {options['name']} are set.")

    def _delete(self, options: dict[str, Any]) -> None:
        delete_secret(options["name"], actor="manage.py")
        self.stdout.write(f"The secret {options['name']} is deleted.")

    def _value(self, options: dict[str, Any]) -> str | None:
        if options["generate"]:
            return None
        return getpass("Value: ") if sys.stdin.isatty() else sys.stdin.read().strip()

    def _say(self, made: str | None, words: str) -> None:
        self.stderr.write(words)
        if made is not None:
            self.stderr.write("Give this to the receiver now; it is not shown again:")
            self.stdout.write(made)


def _add_scope(parser: CommandParser) -> None:
    parser.add_argument("--group", action="append", help="A group whose timers may use it; may be given again.")
    parser.add_argument(
        "--host", action="append", help="Where it may be sent: api.example.org or *.example.org; may be given again."
    )
