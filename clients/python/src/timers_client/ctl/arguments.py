"""Commands of timerctl and their arguments."""

from __future__ import annotations

import argparse
from typing import Final

from timers_client.ctl.chain_arguments import chain_words, lock_words, order_words
from timers_client.ctl.keywords import OWN, schedule, stored
from timers_client.ctl.parser import Parser, Word, everywhere, fields, member, payload, reason, until
from timers_client.ctl.values import at_least, duration, kind, pace
from timers_client.version import VERSION

_EPILOG: Final = (
    "Exit codes: 0 done; 1 refused by the service; 2 a mistake in the command, no address or key, or output that "
    "cannot be written; 3 the service cannot be reached; 130 interrupted. Address and key: --url and --key, "
    "TIMER_SERVICE_URL and TIMER_SERVICE_KEY, or url and key in ~/.config/timerctl.toml, which only its owner may read."
)
_COUNT: Final = at_least(1, "a whole number", int)
_ACTION: Final = 'JSON: what a fire does, such as {"kind": "pull"} or {"handler": "reports.build"}'


def parser() -> Parser:
    """Build the parser of the whole command line."""
    main = Parser(prog="timerctl", description="Timers from the command line.", epilog=_EPILOG)
    main.add_argument("--version", action="version", version=f"timerctl {VERSION}")
    everywhere(main, is_outermost=True)
    word = main.words("word")
    _timers(word)
    _groups(word("groups", "list the groups, or see to one of them").words("verb", default="list"))
    _subscriptions(word("subscriptions", "see to the subscriptions of a group").words("verb"))
    chain_words(word("chain", "list the job chains of a group, or see to one of them").words("verb"))
    lock_words(word("lock", "list the locks that the chains of a group share, or see to one of them").words("verb"))
    order_words(word("order", "list the orders of chains, or see to some of them").words("verb"))
    _consume(word("consume", "print messages as they come due, or run a command for each; commit them"))
    _executions(word)
    _operations(word("operations", "list what is, or was, done to many failed executions, or see to one of them"))
    _cluster(word)
    word("me", "tell who the key is, and what it may")
    completed = word("completion", "print the completion for a shell")
    completed.add_argument("shell", choices=["bash", "zsh", "fish"])
    return main


def _timers(word: Word) -> None:
    listed = word("list", "list the timers of a group by name")
    listed.add_argument("group")
    listed.add_argument("--state", choices=["active", "paused", "finished", "cancelled"])
    listed.add_argument("--kind", type=kind, choices=list(OWN))
    listed.add_argument("--tag")
    listed.add_argument("--name-contains", dest="name_contains")
    for name, about in (
        ("show", "show one timer"),
        ("resume", "fire again"),
        ("next", "tell when a timer fires next"),
        ("skip", "leave out the next fire of a timer"),
    ):
        member(word(name, about))
    reason(member(word("cancel", "never fire again, and give up retries that wait")))
    until(member(word("pause", "fire no more until resumed")))
    fired = member(word("fire", "run once, in addition to the schedule"))
    payload(fired)
    fired.add_argument("--delay", type=float, default=0, help="seconds")
    fired.add_argument(
        "--overlap",
        choices=["skip", "queue", "allow", "replace"],
        help="what to do while an execution of the timer has not ended; default: the timer's policy",
    )
    updated = member(word("update", "change what is given of a timer, and leave the rest"))
    schedule(updated, {name: about for own in OWN.values() for name, about in own.items()}, needed=frozenset())
    stored(updated)
    for name, about in (("schedule", "schedule a timer"), ("preview", "tell what a timer would do")):
        kinds = word(name, about).words("kind")
        for each, own in OWN.items():
            made = kinds(each.replace("_", "-"), f"a timer of kind {each}")
            made.set_defaults(kind=each)
            if name == "schedule":
                member(made)
                made.add_argument(
                    "--on-conflict", dest="on_conflict", choices=["reject", "replace", "keep"], default="reject"
                )
                stored(made)
                if each == "once":
                    made.add_argument(
                        "--debounce-max-wait", dest="debounce_max_wait", type=duration, default=argparse.SUPPRESS,
                        help="how long --on-conflict replace may put it off since it was created",
                    )  # fmt: skip
            else:
                made.add_argument("group")
                made.add_argument("-n", type=int, default=10, help="how many fires (default 10)")
            schedule(made, own)


def _groups(verb: Word) -> None:
    verb("list", "list the groups")
    for name, about in (
        ("show", "show one group"),
        ("create", "create a group"),
        ("update", "change what is given of a group, and leave the rest"),
        ("pause", "fire nothing of a group until it is resumed"),
        ("resume", "fire the timers of a group again"),
    ):
        made = verb(name, about)
        made.add_argument("group")
        if name in {"create", "update"}:
            fields(made, action=_ACTION, retry='JSON, such as {"max_retries": 3}', description="for people")
        if name == "pause":
            until(made)


def _subscriptions(verb: Word) -> None:
    verb("list", "list the subscriptions of a group").add_argument("group")
    created = member(verb("create", "subscribe to the timers of a group"))
    filtered = "JSON: which timers it is for, by their tags and payloads"
    fields(created, action=_ACTION, mode="queue or broadcast", filter=filtered, description="for people")
    reason(member(verb("pause", "deliver nothing to it until it is resumed")))
    member(verb("resume", "deliver to it again, first what waited for it"))
    reason(member(verb("delete", "delete it; what waits for it goes to others, or is cancelled")))


def _consume(consumed: Parser) -> None:
    consumed.add_argument("group")
    consumed.add_argument("--consumer", help="the name of this consumer (default: host and process)")
    consumed.add_argument("--subscription", help="only what is for this subscription of the group")
    consumed.add_argument("--lease", type=float, default=30, help="seconds; kept while the command runs (default 30)")
    consumed.add_argument("--limit", type=_COUNT, help="end after so many messages")
    consumed.add_argument(
        "--exec", dest="command", metavar="COMMAND",
        help="run by the shell for each message, the envelope on its standard input: exit code 0 commits, 75 discards, "
        "any other discards with the code as the reason",
    )  # fmt: skip
    consumed.add_argument(
        "--timeout",
        type=at_least(0, "a number of seconds"),
        metavar="SECONDS",
        help="end the command after so long, and discard",
    )


def _executions(word: Word) -> None:
    tail = word("tail", "print executions as they end")
    tail.add_argument("--group")
    tail.add_argument("--timer")
    tail.add_argument("--once", action="store_true", help="the latest 20 only")
    tail.add_argument(
        "--depth", type=_COUNT, default=1000, help="how many of the newest occurrences each look goes through"
    )
    word("execution", "show one execution with its payload and its tries").add_argument("execution")
    failed = word("failed", "list failed executions, or the faults behind them")
    failed.add_argument("--group")
    failed.add_argument("--by-fault", action="store_true", dest="by_fault")
    for name, about in (("retry", "try failed executions again"), ("dismiss", "give failed executions up")):
        many = word(name, f"{about}: some by their ids, or all that meet conditions, in the background")
        many.add_argument("executions", nargs="*", metavar="EXECUTION")
        for condition in ("group", "timer", "fingerprint", "error-contains", "failed-before", "failed-after"):
            many.add_argument(f"--{condition}", dest=condition.replace("-", "_"))
        many.add_argument("--all", action="store_true", help="every failed execution that the key sees")
        many.add_argument("--pace", type=float, help="at most so many a second, of those that meet conditions")
        many.add_argument("--wait", action="store_true", help="tell how far it has come until it has ended")
        if name == "retry":
            payload(many)
        else:
            reason(many)


def _operations(operations: Parser) -> None:
    operations.set_defaults(state=None)
    verb = operations.words("verb", default="list")
    states = ["running", "paused", "done", "cancelled"]
    verb("list", "list the operations, newest first").add_argument("--state", choices=states)
    for name, about in (
        ("show", "show how far an operation has come"),
        ("pause", "go no further until resumed"),
        ("resume", "go on"),
        ("cancel", "go no further; what has been done stays done"),
        ("pace", "go faster or slower from now on"),
    ):
        made = verb(name, about)
        made.add_argument("operation", type=int)
        if name in {"pause", "cancel"}:
            reason(made)
        if name == "pace":
            made.add_argument("pace", type=pace, help='at most so many executions a second; "none": as fast as it goes')


def _cluster(word: Word) -> None:
    of_node = word("nodes", "list the nodes, or see to one of them").words("verb", default="list")
    of_node("list", "list the living nodes, and those that ended lately")
    for name, about in (
        ("show", "show one node"),
        ("drain", "let a node take no new work, end what it runs, and stay up"),
        ("activate", "let a drained node take work again"),
        ("stop", "drain a node, and end its process"),
        ("forget", "remove a node that has ended: one start by its id, all by its name"),
    ):
        made = of_node(name, about)
        made.add_argument("node", help="its name or its id")
        if name != "show":
            reason(made)
    of_partition = word("partitions", "pause or resume a partition").words("verb")
    for name, about in (("pause", "start nothing of a partition's groups"), ("resume", "start again")):
        made = of_partition(name, about)
        made.add_argument("partition")
        reason(made)
    of_all = word("cluster", "show the cluster at a glance, pause or resume it").words("verb", default="show")
    of_all("show", "show the cluster at a glance")
    for name, about in (("pause", "start nothing anywhere"), ("resume", "start again")):
        reason(of_all(name, about))
