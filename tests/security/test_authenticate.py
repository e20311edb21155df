from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import override_settings
from django.test.utils import CaptureQueriesContext

from tests import factories
from tests.security.conftest import user_with
from timers import clock
from timers.control.keys import create_key, revoke_key, rotate_key, update_key
from timers.models import ApplicationKey, TimerGroup
from timers.security.api_keys.cache import KnownKeys
from timers.security.api_keys.format import new_key
from timers.security.authentication import KeyRefused, caller_of_key, caller_of_user
from timers.testing.virtual_time import VirtualTime

HERE = "192.0.2.7"


def a_key(user: User, **fields: Any) -> tuple[ApplicationKey, str]:
    return create_key("sender", **{"user": user, "scopes": ["read"], "all_groups": True, **fields})


def is_refused(text: str, address: str = HERE, **more: Any) -> bool:
    try:
        caller_of_key(text, address, **{"known": KnownKeys(), **more})
    except KeyRefused as refused:
        assert str(refused) == "This is no valid application key."
        return True
    return False


def test_a_key_stands_for_its_user_scopes_and_groups(root: User) -> None:
    factories.group("billing")
    factories.group("reports")
    row, text = a_key(root, scopes=["schedule", "read"], all_groups=False, groups=["billing"], rate=5)
    caller = caller_of_key(text, HERE)
    assert (caller.actor, caller.user_id, caller.key_id, caller.rate) == ("key sender", root.pk, row.pk, 5.0)
    assert caller.identity == f"key {row.pk}"
    assert caller.scopes == {"read", "schedule"}
    assert caller.sees("billing")
    assert not caller.sees("reports")
    assert not caller.has_all_groups


def test_admin_has_all_scopes(root: User) -> None:
    _, text = a_key(root, scopes=["admin"])
    caller = caller_of_key(text, HERE)
    assert all(caller.may(scope) for scope in ("read", "schedule", "consume", "operate", "admin"))


def test_a_mistyped_key_is_refused_without_a_query(root: User) -> None:
    _, text = a_key(root)
    mistyped = text[:-1] + ("0" if text[-1] != "0" else "1")
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert is_refused(mistyped)
        assert is_refused("Basic dXNlcg==")
        assert is_refused("")
    assert len(queries) == 0


def test_a_key_is_looked_up_in_one_query_and_then_not_at_all_for_a_second(root: User) -> None:
    _, text = a_key(root)
    ApplicationKey.objects.update(last_used_at=clock.now())
    known = KnownKeys()
    with CaptureQueriesContext(connection) as queries:
        caller_of_key(text, HERE, at=100.0, known=known)
    assert len(queries) == 1
    with CaptureQueriesContext(connection) as queries:
        caller_of_key(text, HERE, at=100.99, known=known)
    assert len(queries) == 0
    with CaptureQueriesContext(connection) as queries:
        caller_of_key(text, HERE, at=101.0, known=known)
    assert len(queries) == 1


def test_unknown_wrong_revoked_expired_and_inactive_are_told_in_the_same_words_and_the_log_has_the_reason(
    root: User, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "timers.security")
    row, text = a_key(root, expires_at=clock.now() + timedelta(hours=1))
    unknown, wrong = new_key(), new_key(row.public_id)
    assert is_refused(unknown.reveal())
    assert is_refused(wrong.reveal())
    ApplicationKey.objects.update(expires_at=clock.now() - timedelta(seconds=1))
    assert is_refused(text)
    ApplicationKey.objects.update(expires_at=None)
    User.objects.update(is_active=False)
    assert is_refused(text)
    User.objects.update(is_active=True)
    assert not is_refused(text)
    revoke_key(row.public_id)
    assert is_refused(text)
    reasons = [record.getMessage() for record in caplog.records]
    assert [reason.split(": ", 1)[1].split(" (")[0] for reason in reasons] == [
        "there is no such key", "its secret is wrong", "its time is over", "its user 'root' is not active",
        "it is revoked",
    ]  # fmt: skip
    told = " ".join(reasons)
    assert row.public_id in told
    assert not [secret for secret in (text, wrong.secret, unknown.secret) if secret in told]


def test_a_key_that_is_revoked_is_refused_by_every_process_within_a_second(root: User) -> None:
    row, text = a_key(root)
    here, elsewhere = KnownKeys(), KnownKeys()
    caller_of_key(text, HERE, at=50.0, known=here)
    caller_of_key(text, HERE, at=70.5, known=elsewhere)
    revoke_key(row.public_id)
    assert is_refused(text, at=51.0, known=here)
    assert is_refused(text, at=71.5, known=elsewhere)


def test_a_key_is_not_taken_for_good_beyond_its_own_end(root: User, timers_time: VirtualTime) -> None:
    _, text = a_key(root, expires_at=clock.now() + timedelta(seconds=10))
    timers_time.advance(9.75)
    known = KnownKeys()
    caller_of_key(text, HERE, at=0.0, known=known)
    timers_time.advance(0.25)
    caller_of_key(text, HERE, at=0.2, known=known)
    assert is_refused(text, at=0.25, known=known)


def test_both_secrets_hold_while_one_takes_the_place_of_the_other(root: User, timers_time: VirtualTime) -> None:
    row, old = a_key(root)
    _, new = rotate_key(row.public_id, overlap=3600)
    assert not is_refused(old)
    assert not is_refused(new)
    timers_time.advance(3599)
    assert not is_refused(old)
    timers_time.advance(1)
    assert is_refused(old)
    assert not is_refused(new)


def test_a_rotation_without_overlap_ends_the_old_secret_at_once_and_two_hold_at_most(root: User) -> None:
    row, first = a_key(root)
    _, second = rotate_key(row.public_id, overlap=3600)
    _, third = rotate_key(row.public_id, overlap=3600)
    assert [is_refused(text) for text in (first, second, third)] == [True, False, False]
    _, fourth = rotate_key(row.public_id, overlap=0)
    assert [is_refused(text) for text in (first, second, third, fourth)] == [True, True, True, False]


@pytest.mark.parametrize(
    ("address", "refused"),
    [("10.20.255.1", False), ("2001:db8::9", False), ("10.21.0.1", True), ("2001:db9::9", True), ("", True)],
)
def test_a_key_is_good_from_the_allowed_networks_only(root: User, address: str, refused: bool) -> None:
    _, text = a_key(root, allowed_addresses=["10.20.0.0/16", "2001:db8::/32"])
    known = KnownKeys()
    assert is_refused(text, address, known=known) is refused
    caller_of_key(text, "10.20.0.1", known=known)
    assert is_refused(text, address, known=known) is refused  # also where it is known already


def test_a_key_that_is_used_from_the_wrong_place_is_not_noted_as_used(root: User) -> None:
    row, text = a_key(root, allowed_addresses=["10.20.0.0/16"])
    assert is_refused(text)
    row.refresh_from_db()
    assert row.last_used_at is None


def test_the_last_use_is_written_once_a_minute(root: User, timers_time: VirtualTime) -> None:
    row, text = a_key(root)
    began = clock.now()
    for seconds, address in ((0, HERE), (1, "192.0.2.8"), (58, "192.0.2.9")):
        timers_time.advance(seconds)
        caller_of_key(text, address, known=KnownKeys())
    row.refresh_from_db()
    assert (row.last_used_at, row.last_used_address) == (began, HERE)
    timers_time.advance(1)
    caller_of_key(text, "192.0.2.9", known=KnownKeys())
    row.refresh_from_db()
    assert (row.last_used_at, row.last_used_address) == (began + timedelta(seconds=60), "192.0.2.9")
    assert row.version == 1


def test_a_key_never_has_more_than_its_user_may(reader: User) -> None:
    _, text = a_key(reader, scopes=["admin"])
    assert caller_of_key(text, HERE, known=KnownKeys()).scopes == {"read"}
    assert not caller_of_key(text, HERE, known=KnownKeys()).may("schedule")
    reader.user_permissions.clear()
    assert caller_of_key(text, HERE, known=KnownKeys()).scopes == frozenset()


def test_a_key_whose_groups_are_all_deleted_sees_nothing_rather_than_everything(root: User) -> None:
    factories.group("billing")
    _, text = a_key(root, all_groups=False, groups=["billing"])
    TimerGroup.objects.all().delete()
    caller = caller_of_key(text, HERE)
    assert caller.groups == frozenset()
    assert not caller.has_all_groups
    assert not caller.sees("billing")
    factories.group("billing")  # another group of that name is not the one that was meant
    assert not caller_of_key(text, HERE, known=KnownKeys()).sees("billing")


def test_a_change_of_a_key_takes_effect_with_the_next_look(root: User) -> None:
    row, text = a_key(root)
    update_key(row.public_id, scopes=["read", "consume"])
    assert caller_of_key(text, HERE).may("consume")


def test_a_key_moves_over_to_the_present_secret_key_when_it_is_used(root: User) -> None:
    with override_settings(SECRET_KEY="the old one"):
        _, text = a_key(root)
    with override_settings(SECRET_KEY="the new one"):
        assert is_refused(text)
    with override_settings(SECRET_KEY="the new one", SECRET_KEY_FALLBACKS=["the old one"]):
        assert not is_refused(text)
    with override_settings(SECRET_KEY="the new one"):
        assert not is_refused(text)


def test_somebody_who_has_signed_in_has_the_scopes_of_their_permissions_and_all_groups(db: None) -> None:
    user = user_with("olga", "view_timer", "change_waiting", "add_timer")
    caller = caller_of_user(user)
    assert (caller.actor, caller.identity, caller.key_id) == ("olga", f"user {user.pk}", None)
    assert caller.scopes == {"read", "operate"}  # to schedule needs change_timer too
    assert caller.has_all_groups
    assert caller_of_user(User.objects.create_superuser("root")).may("admin")
    assert caller_of_user(user_with("gone", "view_timer", is_active=False)).scopes == frozenset()
