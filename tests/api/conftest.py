"""A client of the API: real requests through all middleware, as an application key or a person."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import get_user_model

from tests import factories
from tests.api.asking import Asking
from timers.control.keys import create_key
from timers.models import TimerGroup
from timers.security.authentication import forget_known_keys
from timers.security.rate_limits import forget_callers


@pytest.fixture(autouse=True)
def _strangers() -> None:
    """No test knows of the callers of another."""
    forget_known_keys()
    forget_callers()


@pytest.fixture
def superuser(db: None) -> Any:
    return get_user_model().objects.create_superuser("root")


@pytest.fixture
def new_key(superuser: Any) -> Callable[..., str]:
    """Makes keys: new_key("read", "schedule", groups=["billing"])."""
    made = 0

    def make(*scopes: str, **fields: Any) -> str:
        nonlocal made
        made += 1
        fields = {"all_groups": "groups" not in fields, **fields}
        _, text = create_key(f"key-{made}", user=superuser, scopes=list(scopes), **fields)
        return str(text)

    return make


@pytest.fixture
def api(new_key: Callable[..., str]) -> Asking:
    """The API with a key that may do everything."""
    return Asking(new_key("admin"))


@pytest.fixture
def billing(db: None) -> TimerGroup:
    """A group whose timers run a handler that does nothing."""
    return factories.group("billing", action={"kind": "python", "handler": "timerbench.noop"})
