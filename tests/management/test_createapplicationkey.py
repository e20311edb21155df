from __future__ import annotations

import io
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from tests import factories
from timers.models import ApplicationKey
from timers.security.api_keys.format import read_key
from timers.security.authentication import caller_of_key

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def users(db: None) -> None:
    User.objects.create_superuser("root")
    User.objects.create_user("bot")


def run(*words: str) -> tuple[str, str]:
    out, told = io.StringIO(), io.StringIO()
    call_command("createapplicationkey", *words, stdout=out, stderr=told)
    return out.getvalue(), told.getvalue()


def test_the_key_alone_goes_to_standard_output() -> None:
    factories.group("billing")
    out, told = run(
        "sender", "--user", "root", "--scope", "schedule", "--scope", "read", "--group", "billing", "--rate", "2.5",
        "--expires", "2099-01-31T00:00:00Z", "--allow", "10.20.0.0/16", "--allow", "192.0.2.7",
    )  # fmt: skip
    text = out.removesuffix("\n")
    assert read_key(text)
    assert text not in told
    assert "The key sender holds from now on, until 2099-01-31 00:00:00 UTC. It is not shown again:" in told
    caller = caller_of_key(text, "10.20.1.1")
    assert (caller.actor, caller.scopes, caller.groups) == ("key sender", {"read", "schedule"}, {"billing"})
    row = ApplicationKey.objects.get()
    assert (row.rate, row.allowed_addresses) == (2.5, ["10.20.0.0/16", "192.0.2.7/32"])
    assert row.created_by == "manage.py"


def test_an_expiry_may_be_a_length_of_time() -> None:
    run("sender", "--user", "root", "--scope", "admin", "--all-groups", "--expires", "P90D")
    row = ApplicationKey.objects.get()
    assert row.expires_at is not None
    assert abs(row.expires_at - row.created_at - timedelta(days=90)) < timedelta(seconds=10)


def test_what_the_user_may_not_do_is_said() -> None:
    _, told = run("sender", "--user", "bot", "--scope", "read", "--all-groups")
    assert "bot may not read yet, and so neither may the key; needed: timers.view_timer." in told


def test_mistakes_are_told_all_at_once_and_make_no_key() -> None:
    with pytest.raises(CommandError) as refused:
        run("sender", "--user", "rot", "--scope", "raed", "--allow", "10.1.*.*")
    assert str(refused.value).splitlines() == [
        "--user: there is no such user; did you mean root? (given: 'rot')",
        "--scope: there is no such scope; did you mean read? (given: 'raed')",
        "--group: are missing: name those that the key is for, or say --all-groups",
        "--allow: is no network; did you mean 10.1.0.0/16? (given: '10.1.*.*')",
    ]
    with pytest.raises(CommandError, match="expires"):
        run("sender", "--user", "root", "--scope", "read", "--all-groups", "--expires", "P1Y")
    with pytest.raises(CommandError, match=r"--expires: must be .* or a length of time from now, such as P90D"):
        run("sender", "--user", "root", "--scope", "read", "--all-groups", "--expires", "yesterday")
    assert not ApplicationKey.objects.exists()
