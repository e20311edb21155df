"""Application keys of users that are deleted."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.db import connection

from timers.control.keys import create_key
from timers.models import ApplicationKey

pytestmark = pytest.mark.django_db


@pytest.fixture
def key(db: None) -> ApplicationKey:
    user = User.objects.create_user("anna", is_active=True)
    row, _ = create_key("robot", user=user, scopes=["read"], all_groups=True)
    return row


def test_keys_are_deleted_with_their_user_in_any_way_of_django(key: ApplicationKey) -> None:
    User.objects.filter(pk=key.user_id).delete()
    assert not ApplicationKey.objects.exists()


def test_key_whose_user_was_deleted_by_sql_is_shown_without_one(key: ApplicationKey) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM auth_user WHERE id = %s", (key.user_id,))
    left = ApplicationKey.objects.get()
    assert (left.holder, left.username) == (None, "")
