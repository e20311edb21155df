"""What each word of timerctl does."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any, Final

from timers_client import calls
from timers_client.answers import Timer
from timers_client.ctl.arguments import OWN, SHARED
from timers_client.ctl.consume import consume
from timers_client.ctl.executions import dismiss, execution, failed, operations, retry
from timers_client.ctl.output import show_json, show_one, show_rows
from timers_client.ctl.tail import tail
from timers_client.sync import TimersClient

TIMER: Final = ("name", "kind", "state", "next_fire_at", "last_outcome", "fire_count", "words")
GROUP: Final = ("name", "state", "priority", "misfire_policy", "overlap_policy", "description")
_PAGE: Final = 200


def _groups(arguments: argparse.Namespace, client: TimersClient) -> None:
    show_rows(client.get_groups(), GROUP, as_json=arguments.json)


def _list(arguments: argparse.Namespace, client: TimersClient) -> None:
    filters = {name: getattr(arguments, name) for name in ("state", "kind", "tag", "name_contains")}
    timers = client.get_timers(arguments.group, limit=_PAGE, **filters)
    show_rows((timer.raw for timer in timers), TIMER, as_json=arguments.json)


def _show(arguments: argparse.Namespace, client: TimersClient) -> None:
    _tell(client.get_timer(arguments.group, arguments.name), arguments)


def _next(arguments: argparse.Namespace, client: TimersClient) -> None:
    _preview_told(client.next_fires(arguments.group, arguments.name), arguments)


def _skip(arguments: argparse.Namespace, client: TimersClient) -> None:
    skipped = client.skip_next_fire(arguments.group, arguments.name)["skipped"]
    show_one({"skipped": skipped}, as_json=arguments.json)


def _cancel(arguments: argparse.Namespace, client: TimersClient) -> None:
    _tell(client.cancel_timer(arguments.group, arguments.name, reason=arguments.reason).timer, arguments)


def _pause(arguments: argparse.Namespace, client: TimersClient) -> None:
    timer = client.pause_timer(arguments.group, arguments.name, until=arguments.until, reason=arguments.reason)
    _tell(timer, arguments)


def _resume(arguments: argparse.Namespace, client: TimersClient) -> None:
    _tell(client.resume_timer(arguments.group, arguments.name), arguments)


def _pause_group(arguments: argparse.Namespace, client: TimersClient) -> None:
    group = client.pause_group(arguments.group, until=arguments.until, reason=arguments.reason)
    show_one(group, as_json=arguments.json)


def _resume_group(arguments: argparse.Namespace, client: TimersClient) -> None:
    show_one(client.resume_group(arguments.group), as_json=arguments.json)


def _fire(arguments: argparse.Namespace, client: TimersClient) -> None:
    own = _given(arguments, ["payload"])
    started = client.fire_timer(arguments.group, arguments.name, delay=arguments.delay, **own)
    show_one({"execution": started}, as_json=arguments.json)


def _schedule(arguments: argparse.Namespace, client: TimersClient) -> None:
    words = [*OWN[arguments.kind], *SHARED, "payload", "until_committed", "tags", "on_conflict"]
    build = getattr(calls, f"schedule_{arguments.kind}")
    _tell(client.call(build(arguments.group, arguments.name, **_given(arguments, words))), arguments)


def _preview(arguments: argparse.Namespace, client: TimersClient) -> None:
    given = _given(arguments, [*OWN[arguments.kind], *SHARED])
    _preview_told(client.preview(arguments.group, kind=arguments.kind, n=arguments.n, **given), arguments)


def _me(arguments: argparse.Namespace, client: TimersClient) -> None:
    show_one(client.me(), as_json=arguments.json)


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
    "list": _list,
    "show": _show,
    "next": _next,
    "skip": _skip,
    "cancel": _cancel,
    "pause": _pause,
    "resume": _resume,
    "fire": _fire,
    "schedule": _schedule,
    "preview": _preview,
    "groups": _groups,
    "pause-group": _pause_group,
    "resume-group": _resume_group,
    "consume": consume,
    "tail": tail,
    "execution": execution,
    "failed": failed,
    "retry": retry,
    "dismiss": dismiss,
    "operations": operations,
    "me": _me,
}
"""The words that ask the service."""
