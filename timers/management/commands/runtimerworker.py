"""manage.py runtimerworker: run a node."""

from __future__ import annotations

import argparse
from typing import Any

from django.core.checks import Tags
from django.core.checks.registry import registry
from django.core.management.base import CommandError, CommandParser

from timers import conf
from timers.control.names import check_name
from timers.domain import cluster_modes
from timers.domain.cluster_modes import NodeMode
from timers.exceptions import TimersError
from timers.management.service_command import ServiceCommand
from timers.worker.options import NodeOptions
from timers.worker.supervisor import Supervisor, named


class Command(ServiceCommand):
    """Runs one node of the cluster until SIGTERM or Ctrl-C; a second signal ends it at once."""

    help = "Run a node: claim due timers, run their handlers, record what happened. Ends in order on SIGTERM or Ctrl-C."
    requires_migrations_checks = True

    # All but the URL checks: a node serves no URLs, and they would load the whole API, about 15 MB.
    def get_check_kwargs(self, options: Any) -> Any:
        """Return the system checks that the command runs first."""
        return {"tags": registry.tags_available() - {Tags.urls}}

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--name", default="", help="The node's name (default: the host's; -2, -3 where taken).")
        parser.add_argument("--workers", type=_count(0, 256), default=2, help="Worker processes (default 2).")
        parser.add_argument(
            "--threads", type=_count(1, 1000), default=8, help="Plain handlers that a worker runs at once (default 8)."
        )
        parser.add_argument(
            "--concurrency", type=_count(1, 2000), default=200, help="Async handlers per worker at once (default 200)."
        )
        parser.add_argument(
            "--partition", default="default", help='The slice of the cluster to serve (default "default").'
        )
        parser.add_argument("--roles", default="", help="Comma-separated roles; groups may require some.")
        parser.add_argument(
            "--mode",
            default=cluster_modes.DISTRIBUTED,
            choices=cluster_modes.MODES,
            help="distributed: claim work together with the other nodes of the partition (default). exclusive: be the"
            " primary, the only one that claims. backup: claim nothing until those of a lower precedence are away.",
        )
        parser.add_argument("--precedence", type=int, help="Of a backup, from 1; the lowest live one takes over.")
        parser.add_argument(
            "--on-stop",
            choices=cluster_modes.ON_STOP,
            help="When the leader stops in order: handover: the next node takes over (default); hold: none does.",
        )
        parser.add_argument(
            "--failback",
            choices=cluster_modes.FAILBACK,
            help="When a node of lower precedence is back: auto: give the lead back to it (default); manual: keep it"
            " until a person hands it over (timercluster handover).",
        )
        parser.add_argument("--no-execution", action="store_true", help="Register and keep house, but claim nothing.")
        parser.add_argument(
            "--drain-timeout",
            type=float,
            default=conf.current().drain_timeout,
            help="Seconds that running handlers may take after SIGTERM (default: TIMERS_DRAIN_TIMEOUT).",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        conf.require_consistent()
        allow_execution = not options["no_execution"] and options["workers"] > 0
        try:
            node = NodeOptions(
                name=check_name("--name", options["name"]) if options["name"] else "",
                workers=options["workers"],
                threads=options["threads"],
                concurrency=options["concurrency"],
                partition=check_name("--partition", options["partition"]),
                roles=tuple(
                    check_name("--roles", role.strip()) for role in options["roles"].split(",") if role.strip()
                ),
                allow_execution=allow_execution,
                mode=NodeMode.of(
                    options["mode"],
                    options["precedence"],
                    options["on_stop"],
                    options["failback"],
                    allow_execution=allow_execution,
                ),
                drain_timeout=options["drain_timeout"],
            )
            Supervisor(named(node)).run()
        except TimersError as error:
            raise CommandError(str(error)) from error


def _count(low: int, high: int) -> Any:
    def count(text: str) -> int:
        number = int(text)
        if not low <= number <= high:
            raise argparse.ArgumentTypeError(f"must be from {low} to {high}")
        return number

    return count
