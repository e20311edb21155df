"""Groups and their subscriptions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from timers_client.answers import Page, Raw
from timers_client.call import Call, encoded, path
from timers_client.calls.words import Instant, if_match, nothing, page_of, raw, raws


def get_groups() -> Call[Page[Raw]]:
    """List the groups that the key may see, by name."""
    return Call("GET", "/groups", page_of(raw))


def get_group(group: str) -> Call[Raw]:
    """Return one group. Raises NotFound."""
    return Call("GET", path("groups", group), raw)


def create_group(group: str, **fields: Any) -> Call[Raw]:
    """Create a group with fields such as action, retry, misfire_policy. Raises NameTaken."""
    return Call("POST", "/groups", raw, encoded({"name": group, **fields}))


def update_group(group: str, *, version: int | None = None, **changes: Any) -> Call[Raw]:
    """Change the given fields of a group. `version`: raise StaleVersion if the group has changed since that version."""
    return Call("PATCH", path("groups", group), raw, encoded(changes), headers=if_match(version))


def delete_group(group: str, *, force: bool = False, version: int | None = None) -> Call[None]:
    """Delete a group. A group that has timers is deleted, together with them, only with `force`."""
    return Call("DELETE", path("groups", group), nothing, query={"force": force}, headers=if_match(version))


def pause_group(group: str, *, until: Instant | None = None, reason: str = "") -> Call[Raw]:
    """Pause a group: none of its timers fires until it is resumed, manually or automatically."""
    return Call("POST", path("groups", group, "pause"), raw, encoded({"until": until, "reason": reason}))


def resume_group(group: str) -> Call[Raw]:
    """Resume a group. Fires missed in the meantime follow the misfire policy."""
    return Call("POST", path("groups", group, "resume"), raw)


def get_subscriptions(group: str) -> Call[list[Raw]]:
    """List the subscriptions of a group by name."""
    return Call("GET", path("groups", group, "subscriptions"), raws)


def create_subscription(group: str, name: str, *, action: Mapping[str, Any], **fields: Any) -> Call[Raw]:
    """Create a subscription to the timers of a group. Fields: mode, filter, retry, description."""
    body = encoded({"name": name, "action": action, **fields})
    return Call("POST", path("groups", group, "subscriptions"), raw, body)


def update_subscription(group: str, name: str, *, version: int | None = None, **changes: Any) -> Call[Raw]:
    """Change the given fields of a subscription."""
    headers = if_match(version)
    return Call("PATCH", path("groups", group, "subscriptions", name), raw, encoded(changes), headers=headers)


def delete_subscription(group: str, name: str, *, reason: str = "", version: int | None = None) -> Call[Raw]:
    """Delete a subscription. Its waiting executions go to other subscriptions, or are cancelled."""
    query, headers = {"reason": reason or None}, if_match(version)
    return Call("DELETE", path("groups", group, "subscriptions", name), raw, query=query, headers=headers)


def pause_subscription(group: str, name: str, *, reason: str = "") -> Call[Raw]:
    """Pause a subscription: nothing is delivered to it until it is resumed."""
    return Call("POST", path("groups", group, "subscriptions", name, "pause"), raw, encoded({"reason": reason}))


def resume_subscription(group: str, name: str) -> Call[Raw]:
    """Resume a subscription. What waited for it is delivered first."""
    return Call("POST", path("groups", group, "subscriptions", name, "resume"), raw)
