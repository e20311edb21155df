"""The verbs of `manage.py timercluster`: each makes one change and returns one line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from django.core.management.base import CommandError

from timers.cluster import (
    activate_node,
    drain_node,
    forget_node,
    hand_over,
    pause_cluster,
    pause_partition,
    release_lead,
    resume_cluster,
    resume_partition,
    stop_node,
)
from timers.exceptions import TimersError
from timers.insights.words import in_flight_words, plural

ACTOR: Final = "manage.py"
DEFAULT: Final = "default"
Options = Mapping[str, Any]


def _lead(options: Options, change: Callable[..., Any], **further: Any) -> str:
    partition = DEFAULT if options["partition"] is None else options["partition"]
    row = change(partition, reason=options["reason"], actor=ACTOR, **further)
    name = "" if row.node is None else row.node.name
    return f"node {name} leads partition {partition} (epoch {row.epoch})"


def _asked(options: Options, verb: Callable[..., Any], done: str) -> str:
    row = verb(_node(options), reason=options["reason"], actor=ACTOR)
    return f"node {row.name} is asked to {done}"


def _forget(options: Options) -> str:
    starts = forget_node(_node(options), reason=options["reason"], actor=ACTOR)
    return f"node {options['node']} is forgotten ({plural(starts, 'start')})"


def _pause(options: Options) -> str:
    partition, given = options["partition"], {"reason": options["reason"], "actor": ACTOR}
    row = pause_cluster(**given) if partition is None else pause_partition(partition, **given)
    return f"{row}. {in_flight_words(row.in_flight)}".removesuffix(". ")


def _resume(options: Options) -> str:
    partition, given = options["partition"], {"reason": options["reason"], "actor": ACTOR}
    was_paused = resume_cluster(**given) if partition is None else resume_partition(partition, **given)
    subject = "the cluster" if partition is None else f"partition {partition}"
    return f"{subject} is resumed" if was_paused else f"{subject} was not paused"


def _node(options: Options) -> int | str:
    """Return the given id or name of a node; digits only are an id."""
    given: str = options["node"]
    return int(given) if given.isascii() and given.isdigit() and len(given) < 10 else given


OF_NODES: Final[Mapping[str, Callable[[Options], str]]] = {
    "drain": lambda options: _asked(options, drain_node, "drain"),
    "activate": lambda options: _asked(options, activate_node, "take work again"),
    "stop": lambda options: _asked(options, stop_node, "stop"),
    "forget": _forget,
}
OF_PARTITIONS: Final[Mapping[str, Callable[[Options], str]]] = {
    "handover": lambda options: _lead(options, hand_over, to=options["to"] or ""),
    "release-lead": lambda options: _lead(options, release_lead),
    "pause": _pause,
    "resume": _resume,
}
HELP: Final = (
    "show (default); drain, activate, stop, forget: of a NODE; handover: make another node lead a partition;"
    " release-lead: let any other one lead; pause, resume: of a --partition, or of the whole cluster without one."
)
VERBS: Final = ("show", *OF_NODES, *OF_PARTITIONS)


def carry_out(options: Options) -> str:
    """Carry out the verb, and return what was done. Raise CommandError if an option is invalid or the verb fails."""
    verb = options["verb"]
    # An option that is given but empty is an unset shell variable, and does not mean the default.
    if options["to"] is not None and verb != "handover":
        raise CommandError(f"--to: has no meaning for {verb}. Use handover.")
    if options["to"] == "":
        raise CommandError("--to: is empty. Give the name of a node, or leave the option out.")
    if verb in OF_NODES and options["partition"] is not None:
        raise CommandError(f"--partition: has no meaning for {verb}. Leave it out.")
    if verb in OF_NODES and not options["node"]:
        raise CommandError(f"node: is required for {verb}. Give the name or the id of a node.")
    if verb not in OF_NODES and options["node"]:
        raise CommandError(f"node: has no meaning for {verb}. Leave it out.")
    try:
        return {**OF_NODES, **OF_PARTITIONS}[verb](options)
    except TimersError as error:
        raise CommandError(str(error)) from error
