from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from timers import handlers
from timers.handlers import Fire


@pytest.fixture(autouse=True)
def known_handler() -> Iterator[None]:
    """The handler that the factories' groups name."""

    @handlers.handler("tests.noop")
    def noop(fire: Fire) -> None:
        return None

    yield
    handlers.unregister("tests.noop")


@pytest.fixture
def alice(db: None) -> Client:
    """The owner: a superuser."""
    return _signed_in(User.objects.create_superuser("alice"))


@pytest.fixture
def bob(db: None) -> Client:
    """A team-mate who may look at everything and change nothing."""
    user = User.objects.create_user("bob", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(content_type__app_label="timers", codename__startswith="view_"))
    return _signed_in(user)


@pytest.fixture
def charlie(db: None) -> Client:
    """A stranger: staff without any permission."""
    return _signed_in(User.objects.create_user("charlie", is_staff=True))


def _signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client
