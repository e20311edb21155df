"""Public: subscriptions of a group, from Python: several receivers of its timers.

    from timers.subscriptions import create_subscription

    create_subscription("orders", "billing", mode="broadcast", action={"handler": "billing.book"})
    create_subscription("orders", "mails", mode="broadcast", action={"kind": "pull"}, filter={"tags": {"any": ["eu"]}})

Each call is a transaction of its own, or joins the caller's.
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
