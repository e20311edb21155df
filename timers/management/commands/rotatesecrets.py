"""manage.py rotatesecrets: encrypt all secrets with the first key, so that older keys can be removed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.core.management.base import CommandError, CommandParser

from timers.control.secrets import encrypt_anew
from timers.exceptions import TimersError
from timers.insights.words import plural
from timers.management.service_command import ServiceCommand
from timers.security.encryption import Keyring, new_key


class Command(ServiceCommand):
    """Nodes and timers continue meanwhile. Exit code 1 if a secret's key no longer exists."""

    help = "Encrypt all secrets with the first of TIMERS_ENCRYPTION_KEYS; the others can be taken out afterwards."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--new-key", action="store_true", help="Print a fresh key to put first in TIMERS_ENCRYPTION_KEYS, and end."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["new_key"]:
            self.stdout.write(new_key(datetime.now(UTC).date()))
            return
        try:
            done = encrypt_anew(actor="manage.py")
            first = Keyring.in_force().first
        except TimersError as error:
            raise CommandError(str(error)) from None
        self.stdout.write(f"{plural(done, 'secret')} encrypted again; all are under the key {first}.")
