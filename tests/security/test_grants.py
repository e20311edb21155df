from __future__ import annotations

import pytest
from django.contrib.auth.models import User

from tests.security.conftest import user_with
from timers.exceptions import InvalidRequest
from timers.security.grants import check_giver
from timers.security.scopes import PERMISSIONS, SCOPES, not_allowed


def test_keys_are_made_for_oneself_and_for_others_only_by_a_superuser(root: User, reader: User) -> None:
    check_giver(reader.pk, reader.pk)
    check_giver(root.pk, reader.pk)
    with pytest.raises(InvalidRequest, match="user: must be yourself"):
        check_giver(reader.pk, root.pk)
    User.objects.filter(pk=root.pk).update(is_active=False)
    with pytest.raises(InvalidRequest):
        check_giver(root.pk, reader.pk)


def test_what_a_user_may_not_is_told_with_the_permissions_that_are_missing(root: User, reader: User) -> None:
    assert not_allowed(reader, ["read", "schedule"]) == {"schedule": ["timers.add_timer", "timers.change_timer"]}
    assert set(not_allowed(user_with("nobody"), ["admin"])) == set(SCOPES)
    assert not_allowed(root, ["admin"]) == {}


def test_every_scope_stands_on_permissions_that_exist(db: None) -> None:
    names = [name.partition(".")[2] for names in PERMISSIONS.values() for name in names]
    assert user_with("all", *names).user_permissions.count() == len(set(names))
    assert set(PERMISSIONS) == set(SCOPES)
