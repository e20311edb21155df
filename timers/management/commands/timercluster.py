"""manage.py timercluster: the overview page in the terminal, and operations on nodes and partitions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

from django.core.management.base import CommandParser
from django.core.serializers.json import DjangoJSONEncoder

from timers import clock
from timers.insights import counts, timers
from timers.insights.cluster import Cluster, cluster
from timers.insights.groups import GroupView, groups
from timers.insights.health import concerns, sentence
from timers.insights.node_view import NodeView
from timers.insights.rates import Rates, rates
from timers.insights.words import milliseconds, percent, span
from timers.management.cluster_verbs import HELP, VERBS, carry_out
from timers.management.service_command import ServiceCommand

NEXT_FIRES: Final = 10
MINUTES: Final = 5


class Command(ServiceCommand):
    """The summary, nodes, groups, rates and next fires, as on the console's overview page."""

    help = "Show the cluster (nodes, groups, rates, lateness and the next fires), or change it."
    requires_migrations_checks = True

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "verb",
            nargs="?",
            choices=VERBS,
            default="show",
            help=HELP,
        )
        parser.add_argument("node", nargs="?", default="", help="The name or the id of a node.")
        parser.add_argument(
            "--partition",
            default=None,
            help='Of which partition (the lead: default "default"; pause, resume: default all).',
        )
        parser.add_argument("--to", default=None, help="The node to lead (default: the next by precedence).")
        parser.add_argument("--reason", default="", help="Why, for the record.")
        parser.add_argument("--json", action="store_true", help="One JSON object instead of text.")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["verb"] != "show":
            self.stdout.write(carry_out(options))
            return
        now = clock.now()
        seen, hour, lately = cluster(now), rates(now), rates(now, minutes=MINUTES)
        said = sentence(seen, hour, counts.waiting(), counts.overdue(now), now)
        all_groups = groups(now)
        next_fires = [] if seen.pause is not None else timers.soonest(NEXT_FIRES)
        if options["json"]:
            self._write_json(
                now=now,
                level=said.level,
                sentence=said.text,
                concerns=[asdict(concern) for concern in concerns(seen)],
                nodes=[{**_facts(node), "busy": node.busy, "leads": node.leads} for node in seen.nodes],
                pause=None if seen.pause is None else asdict(seen.pause),
                partition_pauses=[asdict(each) for each in seen.partition_pauses],
                leaderships=[asdict(each) for each in seen.leaderships],
                drift=[
                    {
                        "partition": each.partition,
                        "kind": each.kind,
                        "name": each.name,
                        "values": each.values,
                        "odd": each.odd,
                    }
                    for each in seen.drift
                ],
                groups=[asdict(group) for group in all_groups],
                rates=asdict(lately),
                next_fires=[asdict(timer) for timer in next_fires],
            )
            return
        style = {"well": self.style.SUCCESS, "attention": self.style.WARNING, "trouble": self.style.ERROR}[said.level]
        self.stdout.write(style(said.text))
        for concern in concerns(seen):
            self.stdout.write(f"  {concern.text} {concern.command}".rstrip())
        self._table("nodes", _NODE_COLUMNS, _node_rows(seen))
        self._table("groups", _GROUP_COLUMNS, [_group_row(group, now) for group in all_groups])
        self._table(f"last {MINUTES} minutes", _RATE_COLUMNS, _rate_rows(lately))
        fires = [[_in(timer.next_fire_at, now), timer.group, timer.name, timer.schedule] for timer in next_fires]
        self._table("next fires", ("in", "group", "timer", "schedule"), fires)

    def _write_json(self, **content: Any) -> None:
        self.stdout.write(json.dumps(content, cls=DjangoJSONEncoder))

    def _table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        self.stdout.write("\n" + self.style.MIGRATE_HEADING(title))
        if not rows:
            self.stdout.write("  none")
            return
        widths = [max(len(row[place]) for row in (columns, *rows)) for place in range(len(columns))]
        for row in (columns, *rows):
            self.stdout.write(
                "  " + "  ".join(f"{word:<{width}}" for word, width in zip(row, widths, strict=True)).rstrip()
            )


_NODE_COLUMNS: Final = ("node", "state", "mode", "beat", "running", "held", "succeeded", "retried", "failed", "clock",
                        "memory", "version", "zone rules", "config", "up for")  # fmt: skip
_GROUP_COLUMNS: Final = ("group", "state", "active", "overdue", "ready", "failed", "next fire")
_RATE_COLUMNS: Final = ("fires/min now", "succeeded", "late p50", "late p99")


def _facts(node: NodeView) -> dict[str, Any]:
    """Return all facts except the settings, which include digests of secrets: `drift` shows what differs."""
    facts = asdict(node)
    del facts["settings"]
    return facts


def _node_rows(seen: Cluster) -> list[list[str]]:
    """Return a row for each node, and below it one for each of its workers."""
    rows = []
    for node in seen.nodes:
        rows.append(
            [
                node.label, f"{node.state} {node.phi_words}".rstrip(), node.mode_words,
                f"{span(node.heartbeat_age)} ago", node.usage, str(node.held),
                *_counted(node.counters), f"{node.clock_offset * 1000:+.1f} ms",
                "" if node.rss is None else f"{node.rss / 1e6:.0f} MB", node.version,
                node.zone_rules, node.config_hash, _up_for(node),
            ]
        )  # fmt: skip
        if node.alive:
            rows += _worker_rows(node)
    return rows


def _worker_rows(node: NodeView) -> list[list[str]]:
    workers = node.counters.get("workers")
    return [
        [f"  worker {number}", f"pid {worker.get('pid')}", "", "", str(worker.get("busy", "")),
         str(worker.get("held", "")), *_counted(worker), "", "", "", "", "", ""]
        for number, worker in sorted(workers.items())
        if isinstance(worker, dict)
    ] if isinstance(workers, dict) else []  # fmt: skip


def _counted(counters: dict[str, Any]) -> list[str]:
    return [
        f"{value:,}" if isinstance(value := counters.get(word), int) else ""
        for word in ("succeeded", "retried", "failed")
    ]


def _up_for(node: NodeView) -> str:
    return (
        ""
        if node.ended_at is not None
        else span((node.heartbeat_at - node.started_at).total_seconds() + node.heartbeat_age)
    )


def _group_row(group: GroupView, now: datetime) -> list[str]:
    return [
        group.name, group.state, str(group.active), str(group.overdue), str(group.ready), str(group.failed),
        _in(group.next_fire_at, now),
    ]  # fmt: skip


def _rate_rows(lately: Rates) -> list[list[str]]:
    return [
        [
            f"{lately.per_minute:,.0f}",
            "-" if lately.success is None else percent(lately.success),
            "-" if lately.lateness_p50_ms is None else milliseconds(lately.lateness_p50_ms),
            "-" if lately.lateness_p99_ms is None else milliseconds(lately.lateness_p99_ms),
        ]
    ]


def _in(moment: datetime | None, now: datetime) -> str:
    return "-" if moment is None else span((moment - now).total_seconds())
