"""manage.py timerbench: measure this installation."""

from __future__ import annotations

import json
from argparse import ArgumentTypeError
from collections.abc import Callable
from inspect import signature
from typing import Any, Final

from django.core.management.base import CommandError, CommandParser

from timerproject.bench import (
    backlog,
    burst,
    catchup,
    chains,
    create,
    drain,
    http,
    idle,
    installation,
    lateness,
    recurring,
    rest,
    schedules,
)
from timerproject.bench.figures import NotDrained
from timerproject.bench.ground import BenchRuns
from timerproject.bench.node_process import NodeFailed
from timerproject.bench.web_process import WebFailed
from timers import clock
from timers.exceptions import TimersError
from timers.management.service_command import ServiceCommand

MEASUREMENTS: Final[dict[str, tuple[Callable[..., dict[str, Any]], str]]] = {
    "drain": (drain.measure, "due one-shots fired and recorded a second, compared with the raw limit"),
    "create": (create.measure, "timers created a second, one by one and in bulk"),
    "lateness": (lateness.measure, "start minus scheduled instant"),
    "backlog": (backlog.measure, "overdue timers, half of them recurring, and what others feel of them"),
    "recurring": (recurring.measure, "many timers of one short period"),
    "burst": (burst.measure, "how a burst of slow timers is shared by the workers of several nodes"),
    "idle": (idle.measure, "what a node costs that has nothing to do"),
    "catchup": (catchup.measure, "the first decision about a timer that nobody looked at for a year"),
    "chains": (chains.measure, "steps of orders a second, and the time from one step's end to the start of the next"),
    "http": (http.measure, "calls of a slow target a second, with so many under way at once"),
    "rest": (rest.measure, "requests of the REST API a second: create, bulk, read"),
    "schedules": (schedules.measure, "what a schedule costs: made, asked, counted, refused"),
}


class Command(ServiceCommand):
    """Measures through the public API and a real node, in groups of a separate partition, deleted afterwards."""

    help = "Measure this installation: one JSON object with figures, settings and versions (docs/measuring.md)."
    requires_migrations_checks = True

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="One compact line.")
        kinds = parser.add_subparsers(dest="measurement", required=True, metavar="measurement")
        made = {}
        for name, (_, about) in MEASUREMENTS.items():
            made[name] = kinds.add_parser(name, help=about)
            made[name].add_argument(
                "--json", action="store_true", default=False, dest="json_here", help="One compact line."
            )
        for name in ("drain", "lateness", "backlog", "recurring", "burst", "idle", "http"):
            made[name].add_argument("--workers", type=_count, default=1, help="Worker processes of a node (default 1).")
        made["chains"].add_argument(
            "--workers", type=_count, default=2, help="Worker processes of the node (default 2)."
        )
        for name in ("drain", "lateness", "backlog", "recurring", "idle", "chains"):
            made[name].add_argument("--threads", type=int, help="Threads of a worker (default: the node's own).")
        counts = {
            "drain": 20_000, "create": 20_000, "backlog": 20_000, "recurring": 10_000, "burst": 16, "http": 10_000,
            "chains": 5_000,
        }  # fmt: skip
        for name, default in counts.items():
            made[name].add_argument(
                "--executions", type=_count, default=default, help=f"How many (default {default:,})."
            )
        for name, span in {"create": 5.0, "lateness": 20.0, "recurring": 20.0, "idle": 20.0, "rest": 5.0}.items():
            made[name].add_argument("--seconds", type=float, default=span, help=f"For how long (default {span:g}).")
        for name in ("drain", "lateness", "rest"):
            made[name].add_argument("--future", type=int, default=0, help="Timers far ahead in the same group.")
        for name in ("drain", "chains"):
            made[name].add_argument("--runs", type=_count, default=3, help="Medians of so many (default 3).")
        made["drain"].add_argument("--no-raw", action="store_false", dest="raw", help="Leave the raw limit out.")
        made["drain"].add_argument("--on-finish", choices=["keep", "delete"], default="keep", help="Of the group.")
        made["drain"].add_argument(
            "--held-snapshot", action="store_true", dest="hold_snapshot",
            help="Once more while another transaction holds its snapshot open.",
        )  # fmt: skip
        made["lateness"].add_argument("--rate", type=int, default=50, help="Timers a second (default 50).")
        made["lateness"].add_argument(
            "--created-ahead-ms", type=float, help="Create each timer so long before its instant."
        )
        for name, default in {"drain": 1, "burst": 3}.items():
            made[name].add_argument(
                "--nodes",
                type=_count,
                default=default,
                help=f"Nodes that run at once on the database (default {default}).",
            )
        made["burst"].add_argument("--run-seconds", type=float, default=3.0, help="Of each handler (default 3).")
        made["burst"].add_argument(
            "--ahead", type=float, default=0.0, help="Seconds from the creation to the instant (default 0)."
        )
        made["http"].add_argument(
            "--in-flight", type=int, default=500, help="Calls of a worker under way at once (default 500)."
        )
        made["http"].add_argument(
            "--answer-seconds", type=float, default=1.0, help="How long the target takes to answer (default 1)."
        )
        made["rest"].add_argument("--web-workers", type=int, default=2, help="Processes of the web server (default 2).")
        made["rest"].add_argument("--web-threads", type=int, default=8, help="Threads of each (default 8).")
        made["rest"].add_argument("--clients", type=int, default=16, help="That ask at once (default 16).")
        made["catchup"].add_argument("--days", type=int, default=365, help="For how long nobody looked (default 365).")
        made["schedules"].add_argument("--rounds", type=int, default=2_000, help="Schedules a kind (default 2,000).")
        made["recurring"].add_argument("--period", type=float, default=1.0, help="Seconds (default 1).")

    def handle(self, *args: Any, **options: Any) -> None:
        measure, _ = MEASUREMENTS[options["measurement"]]
        asked = {name: options[name] for name in signature(measure).parameters}
        report = {
            "measurement": options["measurement"],
            "at": clock.now().isoformat(timespec="seconds"),
            "asked": asked,
        }
        try:
            figures = measure(**asked)
        except (BenchRuns, NodeFailed, NotDrained, TimersError, WebFailed) as error:
            raise CommandError(str(error)) from error
        compact = options["json"] or options["json_here"]
        report |= {"figures": figures, **installation.describe()}
        self.stdout.write(json.dumps(report, separators=(",", ":")) if compact else json.dumps(report, indent=2))


def _count(text: str) -> int:
    """Parse the number of an option that counts; raises ArgumentTypeError unless it is an integer of at least 1."""
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise ArgumentTypeError(f"must be a whole number of at least 1, not {text}")
    return int(text)
