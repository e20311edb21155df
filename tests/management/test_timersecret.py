from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import date

import pytest
from django.core.management import CommandError, call_command
from django.test import override_settings

from timers.conf.forms import encryption_keys
from timers.engine.secret_values import SecretValue, read_secrets
from timers.insights.secrets import secrets
from timers.security.encryption import new_key

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def a_key() -> Iterator[None]:
    with override_settings(TIMERS={"ENCRYPTION_KEYS": new_key(date(2026, 1, 1))}):
        yield


def told(*words: str) -> str:
    out = io.StringIO()
    call_command(*words, stdout=out, stderr=io.StringIO())
    return out.getvalue()


def test_a_value_comes_by_standard_input_and_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("hunter2\n"))
    told("timersecret", "create", "token", "--group", "billing", "--host", "*.example.org")

    secret = read_secrets(["token"])["token"]
    assert isinstance(secret, SecretValue)
    assert (secret.value, secret.groups, secret.hosts) == ("hunter2", ("billing",), ("*.example.org",))
    listed = told("timersecret", "list")
    assert "token  text" in listed
    assert "groups billing; hosts *.example.org" in listed
    assert "hunter2" not in listed


def test_a_signing_key_is_made_printed_and_replaced() -> None:
    first = told("timersecret", "create", "key", "--kind", "signing", "--generate").strip()
    second = told("timersecret", "replace", "key", "--generate", "--overlap", "2").strip()

    secret = read_secrets(["key"])["key"]
    assert isinstance(secret, SecretValue)
    assert (secret.value, secret.previous) == (second, first)
    told("timersecret", "limit", "key", "--host", "example.org", "--description", "of the shop")
    assert [(kept.hosts, kept.description) for kept in secrets()] == [(("example.org",), "of the shop")]
    told("timersecret", "delete", "key")
    assert told("timersecret", "list") == ""


def test_a_mistake_is_one_sentence() -> None:
    with pytest.raises(CommandError, match="there is no secret 'x'"):
        told("timersecret", "delete", "x")
    with pytest.raises(CommandError, match="value: is missing"):
        told("timersecret", "create", "x", "--generate")


def test_a_new_key_is_one_that_the_setting_takes() -> None:
    assert len(encryption_keys(told("rotatesecrets", "--new-key").strip())) == 1


def test_rotation_says_how_many() -> None:
    told("timersecret", "create", "key", "--kind", "signing", "--generate")
    assert told("rotatesecrets").startswith("0 secrets encrypted again; all are under the key 20260101-")
