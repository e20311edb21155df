"""What each word of timerctl does."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any, Final

from timers_client import calls
from timers_client.answers import Timer
from timers_client.ctl.arguments import OWN, SHARED, parser
from timers_client.ctl.completion import completion
from timers_client.ctl.output import show_json, show_one, show_rows
from timers_client.message import Discard
from timers_client.sync import TimersClient

TIMER: Final = ("name", "kind", "state", "words", "next_fire_at", "last_outcome", "fire_count")
EXECUTION: Final = ("finished_at", "group", "timer", "attempt", "state", "node", "lateness", "run_time", "error", "id")
FAILED: Final = ("id", "group", "timer", "attempt", "scheduled_for", "error")
FAULT: Final = ("count", "fingerprint", "title", "groups", "newest", "example")
DISCARD_CODE: Final = 75
"""EX_TEMPFAIL of sysexits.h: not now."""
_TAIL_EVERY: Final = 1.0


def run(arguments: argparse.Namespace, client: TimersClient) -> None:
    """Do what the command line says."""
    WORDS[arguments.word](arguments, client)


def _groups(arguments: argparse.Namespace, client: TimersClient) -> None:
    show_rows(client.get_groups(), arguments.columns, as_json=arguments.json)


def _list(arguments: argparse.Namespace, client: TimersClient) -> None:
    filters = {name: getattr(arguments, name) for name in ("state", "kind", "tag", "name_contains")}
    timers = client.get_timers(arguments.group, limit=200, **filters)
    show_rows((timer.raw for timer in timers), TIMER, as_json=arguments.json)


def _show(arguments: argparse.Namespace, client: TimersClient) -> None:
    _tell(client.get_timer(arguments.group, arguments.name), arguments)


def _next(arguments: argparse.Namespace, client: TimersClient) -> None:
    _preview_told(client.next_fires(arguments.group, arguments.name), arguments)


def _cancel(arguments: argparse.Namespace, client: TimersClient) -> None:
    _tell(client.cancel_timer(arguments.group, arguments.name, reason=arguments.reason).timer, arguments)


def _pause(arguments: argparse.Namespace, client: TimersClient) -> None:
    timer = client.pause_timer(arguments.group, arguments.name, until=arguments.until, reason=arguments.reason)
    _tell(timer, arguments)


def _resume(arguments: argparse.Namespace, client: TimersClient) -> None:
    _tell(client.resume_timer(arguments.group, arguments.name), arguments)


def _fire(arguments: argparse.Namespace, client: TimersClient) -> None:
    own = _given(arguments, ["payload"])
    execution = client.fire_timer(arguments.group, arguments.name, delay=arguments.delay, **own)
    show_one({"execution": execution}, as_json=arguments.json)


def _schedule(arguments: argparse.Namespace, client: TimersClient) -> None:
    words = [*OWN[arguments.kind], *SHARED, "payload", "until_committed", "tags", "on_conflict"]
    build = getattr(calls, f"schedule_{arguments.kind}")
    _tell(client.call(build(arguments.group, arguments.name, **_given(arguments, words))), arguments)


def _preview(arguments: argparse.Namespace, client: TimersClient) -> None:
    given = _given(arguments, [*OWN[arguments.kind], *SHARED])
    _preview_told(client.preview(arguments.group, kind=arguments.kind, n=arguments.n, **given), arguments)


def _consume(arguments: argparse.Namespace, client: TimersClient) -> None:
    consumer = client.consume(
        arguments.group, consumer=arguments.consumer, lease=arguments.lease, subscription=arguments.subscription
    )
    for number, message in enumerate(consumer, start=1):
        with message:
            if arguments.command is None:
                show_json(message.envelope)
            else:
                _carried_out(arguments.command, json.dumps(message.envelope))
        if arguments.limit is not None and number >= arguments.limit:
            consumer.stop()


def _carried_out(command: str, envelope: str) -> None:
    # The shell is what --exec asks for: its writer is the one who runs timerctl.
    code = subprocess.run(command, shell=True, input=envelope, text=True, check=False).returncode  # noqa: S602
    if code == DISCARD_CODE:
        raise Discard
    if code:
        raise Discard(f"exit code {code}")


def _tail(arguments: argparse.Namespace, client: TimersClient) -> None:
    seen: set[tuple[str, int, str]] = set()
    is_first = True
    while True:
        page = client.call(calls.get_executions(group=arguments.group, timer=arguments.timer, limit=100))
        fresh = [row for row in reversed(page.items) if (row["id"], row["attempt"], row["state"]) not in seen]
        seen = {(row["id"], row["attempt"], row["state"]) for row in page.items}
        for row in fresh[-20:] if is_first else fresh:
            if arguments.json:
                show_json(row)
            else:
                print("  ".join("-" if row[word] is None else str(row[word]) for word in EXECUTION), flush=True)
        if arguments.once:
            return
        is_first = False
        time.sleep(_TAIL_EVERY)


def _failed(arguments: argparse.Namespace, client: TimersClient) -> None:
    if arguments.by_fault:
        show_rows(client.failures(arguments.group), FAULT, as_json=arguments.json)
        return
    found = client.get_executions(state="failed", group=arguments.group, limit=200)
    show_rows((each.raw for each in found), FAILED, as_json=arguments.json)


def _retry(arguments: argparse.Namespace, client: TimersClient) -> None:
    show_one(client.retry(arguments.execution, **_given(arguments, ["payload"])).raw, as_json=arguments.json)


def _dismiss(arguments: argparse.Namespace, client: TimersClient) -> None:
    show_one(client.dismiss(arguments.execution, reason=arguments.reason).raw, as_json=arguments.json)


def complete(arguments: argparse.Namespace) -> None:
    """Print the completion for a shell; the one word that asks nobody."""
    sys.stdout.write(completion(arguments.shell, parser()))


def _tell(timer: Timer, arguments: argparse.Namespace) -> None:
    show_one(timer.raw, as_json=arguments.json)


def _preview_told(preview: Any, arguments: argparse.Namespace) -> None:
    if arguments.json:
        show_json(preview)
        return
    print(preview["words"])
    for each in preview["fires"]:
        print(f"  {each['local']}" + (f"  ({each['note']})" if each["note"] else ""))
    for each in preview["warnings"]:
        print(f"warning: {each['message']}")


def _given(arguments: argparse.Namespace, words: list[str]) -> dict[str, Any]:
    named = {word: getattr(arguments, word) for word in words if hasattr(arguments, word)}
    return {**dict(getattr(arguments, "others", ())), **named}


WORDS: Final[dict[str, Callable[[argparse.Namespace, TimersClient], None]]] = {
    "groups": _groups,
    "list": _list,
    "show": _show,
    "next": _next,
    "cancel": _cancel,
    "pause": _pause,
    "resume": _resume,
    "fire": _fire,
    "schedule": _schedule,
    "preview": _preview,
    "consume": _consume,
    "tail": _tail,
    "failed": _failed,
    "retry": _retry,
    "dismiss": _dismiss,
}
"""The words that ask the service."""
