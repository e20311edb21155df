"""Commands for timers."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any, Final

from timers_client import calls
from timers_client.answers import Raw
from timers_client.ctl.given import changes, given
from timers_client.ctl.keywords import OWN, SHARED, STORED
from timers_client.ctl.output import in_flight_words, show_changed, show_json, show_one, show_rows
from timers_client.sync import TimersClient

_COLUMNS: Final = ("name", "kind", "state", "next_fire_at", "last_outcome", "fire_count", "words")
_PAGE: Final = 200


def list_timers(arguments: argparse.Namespace, client: TimersClient) -> None:
    """List the timers of a group."""
    filters = {name: getattr(arguments, name) for name in ("state", "kind", "tag", "name_contains")}
    timers = client.get_timers(arguments.group, limit=_PAGE, **filters)
    show_rows((timer.raw for timer in timers), _COLUMNS, as_json=arguments.json)


def show(arguments: argparse.Namespace, client: TimersClient) -> None:
    """Show one timer with all its fields."""
    show_one(client.get_timer(arguments.group, arguments.name).raw, as_json=arguments.json)


def next_fires(arguments: argparse.Namespace, client: TimersClient) -> None:
    """Show the next fires of a timer."""
    _tell_fires(client.next_fires(arguments.group, arguments.name), arguments)


def skip(arguments: argparse.Namespace, client: TimersClient) -> None:
    """Skip the next fire of a timer."""
    answer = client.skip_next_fire(arguments.group, arguments.name)
    in_flight = answer["timer"].get("in_flight", [])
    if arguments.json:
        show_json({"skipped": answer["skipped"], "in_flight": in_flight})
    else:
        words = {"in_flight": in_flight_words(in_flight)} if in_flight else {}
        show_one({"skipped": answer["skipped"], **words}, as_json=False)


def cancel(arguments: argparse.Namespace, client: TimersClient) -> None:
    """Cancel a timer."""
    cancelled = client.cancel_timer(arguments.group, arguments.name, reason=arguments.reason)
    _tell({**cancelled.timer.raw, "in_flight": list(cancelled.in_flight)}, arguments)


def pause(arguments: argparse.Namespace, client: TimersClient) -> None:
    """Pause a timer until it is resumed."""
    timer = client.pause_timer(arguments.group, arguments.name, until=arguments.until, reason=arguments.reason)
    _tell(timer.raw, arguments)


def resume(arguments: argparse.Namespace, client: TimersClient) -> None:
    """Resume a timer."""
    _tell(client.resume_timer(arguments.group, arguments.name).raw, arguments)


def fire(arguments: argparse.Namespace, client: TimersClient) -> None:
    """Run a timer once, in addition to its schedule."""
    own = given(arguments, ["payload", "overlap"])
    started = client.fire_timer(arguments.group, arguments.name, delay=arguments.delay, **own)
    show_one({"execution": started}, as_json=arguments.json)


def schedule(arguments: argparse.Namespace, client: TimersClient) -> None:
    """Schedule a timer."""
    build = getattr(calls, f"schedule_{arguments.kind}")
    keywords = given(arguments, [*OWN[arguments.kind], *SHARED, *STORED, "on_conflict", "debounce_max_wait"])
    _tell(client.call(build(arguments.group, arguments.name, **keywords)).raw, arguments)


def update(arguments: argparse.Namespace, client: TimersClient) -> None:
    """Change the given keywords of a timer."""
    own = [name for names in OWN.values() for name in names]
    changed = changes(arguments, [*own, *SHARED, *STORED])
    _tell(client.update_timer(arguments.group, arguments.name, **changed).raw, arguments)


def preview(arguments: argparse.Namespace, client: TimersClient) -> None:
    """Preview a timer."""
    keywords = given(arguments, [*OWN[arguments.kind], *SHARED])
    _tell_fires(client.preview(arguments.group, kind=arguments.kind, n=arguments.n, **keywords), arguments)


def _tell(timer: Raw, arguments: argparse.Namespace) -> None:
    show_changed(f"{timer['group']}/{timer['name']}", timer, as_json=arguments.json)


def _tell_fires(fires: Mapping[str, Any], arguments: argparse.Namespace) -> None:
    if arguments.json:
        show_json(fires)
        return
    print(fires["words"])
    for each in fires["fires"]:
        print(f"  {each['local']}" + (f"  ({each['note']})" if each["note"] else ""))
    for each in fires["warnings"]:
        print(f"warning: {each['message']}")
