"""Commands for groups and their subscriptions."""

from __future__ import annotations

import argparse
from typing import Final

from timers_client.answers import Raw
from timers_client.ctl.given import changes, given
from timers_client.ctl.output import in_flight_words, show_changed, show_one, show_rows
from timers_client.sync import TimersClient

_GROUP: Final = ("name", "state", "priority", "misfire_policy", "overlap_policy", "description")
_GROUP_FIELDS: Final = ("action", "retry", "description")
_SUBSCRIPTION: Final = ("name", "state", "mode", "action", "filter", "description")
_SUBSCRIPTION_FIELDS: Final = ("action", "mode", "filter", "description")


def list_groups(arguments: argparse.Namespace, client: TimersClient) -> None:
    """List the groups."""
    show_rows(client.get_groups(), _GROUP, as_json=arguments.json)


def show_group(arguments: argparse.Namespace, client: TimersClient) -> None:
    """Show one group with all its fields."""
    show_one(client.get_group(arguments.group), as_json=arguments.json)


def create_group(arguments: argparse.Namespace, client: TimersClient) -> None:
    """Create a group."""
    _tell_group(client.create_group(arguments.group, **given(arguments, _GROUP_FIELDS)), arguments)


def update_group(arguments: argparse.Namespace, client: TimersClient) -> None:
    """Change the given fields of a group."""
    _tell_group(client.update_group(arguments.group, **changes(arguments, _GROUP_FIELDS)), arguments)


def pause_group(arguments: argparse.Namespace, client: TimersClient) -> None:
    """Pause a group until it is resumed."""
    group = client.pause_group(arguments.group, until=arguments.until, reason=arguments.reason)
    _tell_group(group, arguments)


def resume_group(arguments: argparse.Namespace, client: TimersClient) -> None:
    """Resume a group."""
    _tell_group(client.resume_group(arguments.group), arguments)


def list_subscriptions(arguments: argparse.Namespace, client: TimersClient) -> None:
    """List the subscriptions of a group."""
    show_rows(client.get_subscriptions(arguments.group), _SUBSCRIPTION, as_json=arguments.json)


def create_subscription(arguments: argparse.Namespace, client: TimersClient) -> None:
    """Create a subscription to the timers of a group."""
    # Without an action, the service's error lists the valid ones.
    fields = {"action": None, **given(arguments, _SUBSCRIPTION_FIELDS)}
    _tell_subscription(client.create_subscription(arguments.group, arguments.name, **fields), arguments)


def pause_subscription(arguments: argparse.Namespace, client: TimersClient) -> None:
    """Pause a subscription until it is resumed."""
    paused = client.pause_subscription(arguments.group, arguments.name, reason=arguments.reason)
    _tell_subscription(paused, arguments)


def resume_subscription(arguments: argparse.Namespace, client: TimersClient) -> None:
    """Resume a subscription."""
    _tell_subscription(client.resume_subscription(arguments.group, arguments.name), arguments)


def delete_subscription(arguments: argparse.Namespace, client: TimersClient) -> None:
    """Delete a subscription; show what happened to its waiting executions."""
    gone = client.delete_subscription(arguments.group, arguments.name, reason=arguments.reason)
    in_flight = gone["in_flight"] if arguments.json else in_flight_words(gone["in_flight"]) or "none"
    show_one({**gone, "in_flight": in_flight}, as_json=arguments.json)


def _tell_group(group: Raw, arguments: argparse.Namespace) -> None:
    show_changed(group["name"], group, as_json=arguments.json)


def _tell_subscription(subscription: Raw, arguments: argparse.Namespace) -> None:
    show_changed(f"{arguments.group}/{subscription['name']}", subscription, as_json=arguments.json)
