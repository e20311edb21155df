"""Addresses and answers of the admin, for its tests."""

from __future__ import annotations

from typing import Any

from django.test import Client
from django.urls import reverse

MODELS = ("timergroup", "timer", "attempt", "waiting", "claim", "node", "clusterevent", "statsminute")


def list_of(model: str, **query: Any) -> str:
    asked = "&".join(f"{name}={value}" for name, value in query.items())
    return reverse(f"admin:timers_{model}_changelist") + (f"?{asked}" if asked else "")


def page_of(model: str, key: object) -> str:
    return reverse(f"admin:timers_{model}_change", args=[key])


def run(client: Client, model: str, action: str, *keys: object, **answers: str) -> Any:
    """Run an action on rows, with the answers to what it asks; the answer is the list with its messages."""
    data = {"action": action, "_selected_action": [str(key) for key in keys], **answers}
    return client.post(list_of(model), data, follow=True)


def told(response: Any) -> str:
    """The messages on a page, as one text."""
    return " ".join(str(message) for message in response.context["messages"])
