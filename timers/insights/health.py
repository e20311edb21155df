"""Health of the cluster: its problems, and one sentence that summarizes them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from timers.insights.cluster import Cluster
from timers.insights.concern import Concern, Level
from timers.insights.counts import Count, Waits
from timers.insights.drift import drift_words, listed
from timers.insights.leadership import leadership_concerns
from timers.insights.names import name_concerns
from timers.insights.rates import Rates
from timers.insights.unserved import unserved_concerns
from timers.insights.words import command_line, milliseconds, plural, span

START_A_NODE: Final = "python manage.py runtimerworker"


@dataclass(frozen=True, slots=True)
class Sentence:
    """Summary of the cluster's health; it reports the most severe problem."""

    level: Level
    text: str


def concerns(cluster: Cluster) -> list[Concern]:
    """Return the problems of the cluster, most severe first; empty if there is none."""
    # Versions are compared over the whole cluster.
    drifts = drift_words([each for each in cluster.drift if each.kind != "version"])
    # If there is no node, that is reported first and alone.
    unserved = unserved_concerns(cluster.unserved) if cluster.alive else []
    return [*unserved, *state_concerns(cluster), *(Concern("attention", text) for text in drifts)]


def state_concerns(cluster: Cluster) -> list[Concern]:
    """Return all problems except drift and unserved groups, for which the doctor has its own checks."""
    found: list[Concern] = []
    alive = cluster.alive
    if cluster.pause is not None:
        found.append(
            Concern("attention", f"The cluster is paused {cluster.pause.words}. Nothing starts until resumed.")
        )
    for pause in cluster.partition_pauses:
        text = f"Partition {pause.partition} is paused {pause.words}. Nothing of it starts until resumed:"
        resume = command_line("timercluster", "resume", "--partition", pause.partition)
        found.append(Concern("attention", text, resume))
    if not alive:
        found.append(Concern("trouble", "No node is alive: no timer fires. Start one:", START_A_NODE))
    elif not any(node.allow_execution and node.state in ("active", "suspect", "starting") for node in alive):
        found.append(Concern("trouble", "No living node takes timers: all are draining or on standby."))
    found += leadership_concerns(cluster.leaderships)
    found += name_concerns(cluster.nodes, cluster.refused)
    for node in cluster.nodes:
        if node.state == "suspect":
            found.append(
                Concern(
                    "attention",
                    f"Node {node.name} is suspect {node.phi_words}: no heartbeat for {span(node.heartbeat_age)};"
                    f" it counts as dead in {span(max(node.lease_left, 0))}.",
                )
            )
        if node.left_behind:
            waits = f"{plural(node.left_behind, 'execution')} of it wait to be rescued"
            text = f"Node {node.name} is {node.state} and {waits}."
            found.append(Concern("attention", text))
        if node.alive and node.clock_is_off:
            which = "ahead of" if node.clock_offset > 0 else "behind"
            found.append(
                Concern(
                    "attention",
                    f"The clock of node {node.name} is {span(abs(node.clock_offset))} {which} the database's."
                    " Timers still fire by the database's clock; set up NTP on that machine.",
                )
            )
    versions = sorted({node.version for node in alive})
    if len(versions) > 1:
        who = (f"{each} ({listed([node.name for node in alive if node.version == each])})" for each in versions)
        found.append(Concern("attention", f"The nodes run different versions: {', '.join(who)}."))
    return found


def sentence(cluster: Cluster, rates: Rates, waits: Waits, overdue: Count, now: datetime) -> Sentence:
    """Return the one-sentence summary of the cluster's health."""
    alive = len(cluster.alive)
    known = alive + sum(node.is_missed(now) for node in cluster.nodes)
    nodes = f"{alive} of {plural(known, 'node')} alive" if alive < known else f"{plural(alive, 'node')} alive"
    work = f"{plural(round(rates.per_minute), 'fire')} in the last minute"
    if rates.lateness_p99_ms is not None:
        work += f", 99 % of this hour's began within {milliseconds(rates.lateness_p99_ms)}"
    paused = [f"partition {pause.partition} paused" for pause in cluster.partition_pauses]
    said = "; ".join(
        [*paused, nodes, work, f"{waits.failed} failed and waiting for you" if waits.failed else "nothing failed"]
    )
    if cluster.pause is not None:
        return Sentence("attention", f"Paused {cluster.pause.words}. {_overdue(overdue)} {said}.".replace("  ", " "))
    if not alive:
        return Sentence("trouble", f"Nothing fires: no node is alive. {_overdue(overdue)}".strip())
    if overdue:
        return Sentence("trouble", f"{_overdue(overdue)} {said}.")
    if (
        cluster.partition_pauses
        or waits.failed
        or alive < known
        or any(node.state == "suspect" for node in cluster.nodes)
    ):
        return Sentence("attention", f"{said}.")
    return Sentence("well", f"All well: {said}.")


def _overdue(overdue: Count) -> str:
    if not overdue:
        return ""
    return f"{overdue} {'timer is' if overdue.value == 1 else 'timers are'} overdue."
