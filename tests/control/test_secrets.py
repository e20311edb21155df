from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

import pytest
from django.test import override_settings
from standardwebhooks import Webhook

from tests import factories
from timers import clock
from timers.actions.http import HttpAction
from timers.actions.signing import new_signing_secret, signature
from timers.control.secrets import (
    check_secrets,
    create_secret,
    delete_secret,
    encrypt_anew,
    limit_secret,
    replace_secret,
)
from timers.engine.secret_values import SecretValue, read_secrets
from timers.exceptions import InvalidRequest, NotAllowedNow, TimerNotFound
from timers.insights.doctor.secrets import unopenable_secrets
from timers.insights.secrets import secrets
from timers.models import Secret
from timers.security.encryption import Unopenable, new_key

pytestmark = pytest.mark.django_db

OLD, NEW = (new_key(date(2026, 1, day)) for day in (1, 2))


def keys(*given: str) -> override_settings:
    return override_settings(TIMERS={"ENCRYPTION_KEYS": ",".join(given)})


@pytest.fixture(autouse=True)
def old_key() -> Iterator[None]:
    with keys(OLD):
        yield


def value(name: str) -> SecretValue:
    found = read_secrets([name])[name]
    assert isinstance(found, SecretValue)
    return found


def action(**fields: object) -> HttpAction:
    return HttpAction.parse({"kind": "http", "url": "https://api.example.org/", **fields})


BEARER = {"kind": "bearer", "secret": "token"}


def test_a_value_is_kept_encrypted_and_shown_to_no_face() -> None:
    assert create_secret("token", "hunter2", actor="me") is None

    assert value("token").value == "hunter2"
    row = Secret.objects.get(name="token")
    assert b"hunter2" not in bytes(row.value)
    (view,) = secrets()
    assert (view.name, view.kind, view.updated_by) == ("token", "text", "me")
    assert "hunter2" not in f"{view}{value('token')!r}"


def test_a_signing_key_is_made_and_told_once() -> None:
    told = create_secret("key", kind="signing")

    assert told is not None
    assert value("key").value == told
    assert value("key").signing_keys(clock.now())


def test_both_signing_keys_sign_while_one_is_replaced() -> None:
    old, new = new_signing_secret(), new_signing_secret()
    create_secret("key", old, kind="signing")
    replace_secret("key", new, overlap=timedelta(hours=1))
    now = clock.now()

    signed = signature(value("key").signing_keys(now), "id", int(now.timestamp()), b"{}")

    sent = {"webhook-id": "id", "webhook-timestamp": str(int(now.timestamp())), "webhook-signature": signed}
    assert Webhook(old).verify(b"{}", sent) == Webhook(new).verify(b"{}", sent) == {}
    assert len(value("key").signing_keys(now + timedelta(hours=2))) == 1


def test_a_replaced_password_is_gone_at_once() -> None:
    create_secret("token", "old")
    replace_secret("token", "new")

    assert (value("token").value, value("token").previous) == ("new", None)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"value": None}, "value"),
        ({"value": ""}, "value"),
        ({"value": "a\r\nX: y"}, "value"),
        ({"value": "x" * 70_000}, "value"),
        ({"kind": "key"}, "kind"),
        ({"kind": "signing", "value": "short"}, "value"),
        ({"kind": "certificates", "value": "no PEM"}, "value"),
        ({"groups": "billing"}, "groups"),
        ({"hosts": ["*"]}, "hosts"),
        ({"hosts": ["API.example.org"]}, "hosts"),
        ({"hosts": ["https://x"]}, "hosts"),
        ({"description": "of\0ours"}, "description"),
    ],
)
def test_what_makes_no_sense_is_refused_naming_the_field_and_not_the_value(fields: dict[str, str], field: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        create_secret(**{"name": "token", "value": "v", **fields})  # type: ignore[arg-type]

    assert refused.value.field == field
    assert not Secret.objects.exists()
    given = fields.get("value")
    assert not given or given not in str(refused.value)


def test_a_name_is_there_once() -> None:
    create_secret("token", "a")
    with pytest.raises(InvalidRequest, match="is taken"):
        create_secret("token", "b")
    with pytest.raises(TimerNotFound):
        replace_secret("other", "b")


def test_without_a_key_nothing_is_kept() -> None:
    with keys(), pytest.raises(NotAllowedNow, match="TIMERS_ENCRYPTION_KEYS"):
        create_secret("token", "a")
    assert not Secret.objects.exists()


def test_a_secret_in_use_is_not_deleted() -> None:
    for name, kind in (("token", "text"), ("key", "signing"), ("spare", "text")):
        create_secret(name, "v" if kind == "text" else None, kind=kind)
    group = factories.group("billing", action=action(auth=BEARER).to_spec())
    factories.timer("invoice", in_group=group, action=action(sign="key").to_spec())

    with pytest.raises(NotAllowedNow, match="group billing"):
        delete_secret("token")
    with pytest.raises(NotAllowedNow, match="timer billing/invoice"):
        delete_secret("key")
    delete_secret("spare")
    assert [secret.name for secret in secrets()] == ["key", "token"]


def test_a_timer_that_is_over_keeps_no_secret() -> None:
    create_secret("token", "v")
    factories.timer("done", state="finished", next_fire_at=None, action=action(auth=BEARER).to_spec())

    delete_secret("token")


def test_an_action_must_refer_to_secrets_that_exist_and_are_of_the_right_kind() -> None:
    create_secret("key", kind="signing")

    with pytest.raises(InvalidRequest) as refused:
        check_secrets(action(auth=BEARER, sign="nokey"), "g")
    assert [problem.field for problem in refused.value.problems] == ["action.auth.secret", "action.sign"]
    with pytest.raises(InvalidRequest, match="of the kind signing, not text"):
        check_secrets(action(auth={**BEARER, "secret": "key"}), "g")
    check_secrets(action(sign="key"), "g")
    check_secrets(action(), "g")


def test_a_secret_is_bound_to_groups_and_hosts() -> None:
    create_secret("token", "v", groups=["billing"], hosts=["*.example.org"])

    check_secrets(action(auth=BEARER), "billing")
    with pytest.raises(InvalidRequest, match="not for group 'other'"):
        check_secrets(action(auth=BEARER), "other")
    with pytest.raises(InvalidRequest, match=r"not for host 'evil\.example'"):
        check_secrets(action(auth=BEARER, url="https://evil.example/"), "billing")
    with pytest.raises(InvalidRequest, match=r"not for host 'example\.org'"):
        check_secrets(action(auth=BEARER, url="https://example.org/"), "billing")
    limit_secret("token", groups=[], hosts=["example.org"])
    check_secrets(action(auth=BEARER, url="https://example.org/"), "other")


def test_what_a_secret_is_for_is_said_anew_without_another_value() -> None:
    create_secret("token", "v", groups=["billing"], description="old")
    limit_secret("token", description="of the payment service", actor="ann")

    (view,) = secrets()
    assert (view.description, view.groups, view.updated_by) == ("of the payment service", ("billing",), "ann")
    assert value("token").value == "v"
    with pytest.raises(InvalidRequest, match="description: must be text"):
        limit_secret("token", description="x" * 10_001)
    limit_secret("token", description="")
    assert secrets()[0].description == ""


def test_a_value_moved_to_another_row_does_not_open() -> None:
    create_secret("a", "1")
    create_secret("b", "2")
    Secret.objects.filter(name="b").update(value=Secret.objects.get(name="a").value)

    found = read_secrets(["a", "b", "c"])

    assert isinstance(found["a"], SecretValue)
    assert str(found["b"]).startswith("the secret 'b' cannot be read")
    assert "c" not in found


def test_all_are_encrypted_anew_in_batches_and_older_keys_can_go() -> None:
    for number in range(7):
        create_secret(f"s-{number}", f"v-{number}")
    create_secret("key", kind="signing")
    replace_secret("key")
    with keys(NEW, OLD):
        create_secret("young", "v")
        assert encrypt_anew(batch=3) == 8
        assert encrypt_anew(batch=3) == 0
    with keys(NEW):
        assert [value(f"s-{number}").value for number in range(7)] == [f"v-{number}" for number in range(7)]
        assert value("key").previous is not None
    assert {secret.key for secret in secrets()} == {NEW.partition(":")[0]}


def test_a_key_that_is_gone_is_told_by_the_secret_that_needs_it() -> None:
    create_secret("token", "v")

    with keys(NEW):
        with pytest.raises(Unopenable, match="'token'"):
            encrypt_anew()
        (finding,) = unopenable_secrets(clock.now())
    assert finding.evidence == ({"secret": "token", "key": OLD.partition(":")[0]},)
    assert unopenable_secrets(clock.now()) == []
