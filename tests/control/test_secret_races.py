from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import date

import pytest
from django.test import override_settings

from tests import factories
from tests.support.sessions import OtherSession
from timers import conf
from timers.control.secrets import create_secret, delete_secret, encrypt_anew, replace_secret
from timers.engine.secret_values import SecretValue, read_secrets
from timers.exceptions import InvalidRequest, NotAllowedNow
from timers.models import Secret
from timers.scheduling import schedule_once
from timers.security.encryption import new_key

ACTION = {"kind": "http", "url": "https://api.example.org/", "sign": "key"}


@pytest.fixture(autouse=True)
def a_key(committed: None) -> Iterator[None]:
    with override_settings(TIMERS={"ENCRYPTION_KEYS": new_key(date(2026, 1, 1))}):
        create_secret("key", kind="signing")
        factories.group("g")
        yield
        Secret.objects.all().delete()


def test_a_secret_is_not_deleted_under_a_timer_that_is_just_being_made() -> None:
    with OtherSession() as other:
        other.begin()
        other.run(lambda: schedule_once("g", "t", after=3600, action=ACTION))
        with OtherSession() as third:
            deleted = third.start(lambda: delete_secret("key"))
            third.waits_for_a_lock()
            other.commit()
            with pytest.raises(NotAllowedNow, match="timer g/t"):
                deleted.result(timeout=20)


def test_a_timer_is_not_made_with_a_secret_that_is_just_being_deleted() -> None:
    with OtherSession() as other:
        other.begin()
        other.run(lambda: delete_secret("key"))
        with OtherSession() as third:
            made = third.start(lambda: schedule_once("g", "t", after=3600, action=ACTION))
            third.waits_for_a_lock()
            other.commit()
            with pytest.raises(InvalidRequest, match="there is no such secret"):
                made.result(timeout=20)


def test_secrets_are_read_without_a_gap_while_all_are_encrypted_anew() -> None:
    names = [f"s-{number}" for number in range(200)]
    for name in names:
        create_secret(name, name)
    keys = conf.current().encryption_keys
    ended = threading.Event()

    def read() -> int:
        rounds = 0
        while not ended.is_set() or not rounds:
            found = read_secrets(names)
            assert [value.value for value in found.values() if isinstance(value, SecretValue)] == list(found)
            rounds += 1
        return rounds

    both = f"{new_key(date(2026, 1, 2))},{keys}"
    with override_settings(TIMERS={"ENCRYPTION_KEYS": both}), OtherSession() as other:
        reading = other.start(read)
        assert encrypt_anew(batch=7) == 201
        ended.set()
        assert reading.result(timeout=20) >= 1


def test_timers_are_made_while_their_secret_is_being_replaced() -> None:
    with OtherSession() as other:
        other.begin()
        other.run(lambda: replace_secret("key"))

        schedule_once("g", "t", after=3600, action=ACTION)
