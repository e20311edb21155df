"""Public API: manage the subscriptions of a group, each of which receives its timers' executions, from Python.

    from timers.subscriptions import create_subscription

    create_subscription("orders", "billing", mode="broadcast", action={"handler": "billing.book"})
    create_subscription("orders", "mails", mode="broadcast", action={"kind": "pull"}, filter={"tags": {"any": ["eu"]}})

Each call is its own transaction, or joins the caller's.
"""

from __future__ import annotations

from timers.control.subscriptions import (
    DeletedSubscription,
    create_subscription,
    delete_subscription,
    find_subscription,
    list_subscriptions,
    pause_subscription,
    resume_subscription,
    update_subscription,
)

__all__ = [
    "DeletedSubscription",
    "create_subscription",
    "delete_subscription",
    "find_subscription",
    "list_subscriptions",
    "pause_subscription",
    "resume_subscription",
    "update_subscription",
]
