from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User

from timers.security.authentication import forget_known_keys
from timers.security.rate_limits import forget_callers


@pytest.fixture(autouse=True)
def nobody_known() -> Iterator[None]:
    """What this process remembers of callers is of no other test."""
    forget_known_keys()
    forget_callers()
    yield
    forget_known_keys()
    forget_callers()


@pytest.fixture
def root(db: None) -> User:
    """A user who may do everything."""
    return User.objects.create_superuser("root")


@pytest.fixture
def reader(db: None) -> User:
    """A user who may only look."""
    return user_with("reader", "view_timer")


def user_with(name: str, *permissions: str, **fields: Any) -> User:
    """A user with these permissions of the timer service."""
    user = User.objects.create_user(name, **fields)
    user.user_permissions.set(Permission.objects.filter(content_type__app_label="timers", codename__in=permissions))
    return user
