"""Public API: claim executions of a group, commit and discard them from Python.

    from timers.consuming import claim, commit, discard

    for message in claim("MyTimerGroup", "sender-1", limit=10, lease=30):
        deliver(message.envelope)
        commit(message.execution, message.token)

The group's action must be `{"kind": "pull"}`. Each call is its own transaction, or joins the caller's.
"""

from __future__ import annotations

from timers.engine.acknowledge import Commit, Extended, Settled, commit, commit_many, discard, extend
from timers.engine.consume import Message, claim

__all__ = ["Commit", "Extended", "Message", "Settled", "claim", "commit", "commit_many", "discard", "extend"]
