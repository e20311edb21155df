from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, connection, transaction

from tests import factories
from timers import clock, conf
from timers.control.keys import create_key, revoke_key, rotate_key, update_key
from timers.engine.prune import prune
from timers.exceptions import InvalidRequest, NotAllowedNow, StaleVersion, TimerExists, TimerNotFound
from timers.models import ApplicationKey
from timers.security.api_keys.format import read_key
from timers.security.api_keys.store import prune_keys
from timers.testing import VirtualTime

pytestmark = pytest.mark.django_db


@pytest.fixture
def olga(db: None) -> User:
    return User.objects.create_user("olga")


def a_key(name: str = "sender", **fields: Any) -> tuple[ApplicationKey, str]:
    return create_key(name, **{"user": "olga", "scopes": ["read"], "all_groups": True, **fields})


def problems(call: Callable[[], object]) -> list[str]:
    with pytest.raises(InvalidRequest) as refused:
        call()
    return [f"{problem.field}: {problem.message}" for problem in refused.value.problems]


def test_a_key_is_kept_as_it_was_asked_for(olga: User) -> None:
    billing, reports = factories.group("billing"), factories.group("reports")
    row, text = a_key(
        scopes=("schedule", "read", "read"), all_groups=False, groups=["reports", "billing"], rate=2,
        allowed_addresses=["10.20.0.0/16", "192.0.2.7", "10.20.0.0/16"], expires_at="2099-01-01T00:00:00Z",
        actor="anna",
    )  # fmt: skip
    kept = ApplicationKey.objects.get()
    assert kept == row
    assert (kept.name, kept.user, kept.scopes, kept.rate) == ("sender", olga, ["read", "schedule"], 2.0)
    assert (kept.all_groups, set(kept.groups.all())) == (False, {billing, reports})
    assert kept.allowed_addresses == ["10.20.0.0/16", "192.0.2.7/32"]
    assert kept.expires_at == datetime(2099, 1, 1, tzinfo=UTC)
    assert (kept.created_by, kept.updated_by, kept.version, kept.last_used_at) == ("anna", "anna", 1, None)
    assert text.startswith(kept.beginning)


def test_a_dump_of_the_database_holds_no_secret_nor_a_plain_hash_of_one(olga: User) -> None:
    row, first = a_key()
    _, second = rotate_key(row.public_id)
    dump = ""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace"
        )
        for (table,) in cursor.fetchall():
            cursor.execute(f'SELECT t::text FROM "{table}" t')
            dump += "\n".join(line for (line,) in cursor.fetchall())
    assert row.public_id in dump
    for text in (first, second):
        key = read_key(text)
        assert key is not None
        assert key.digest() in dump
        plain = [hashlib.sha256(word.encode()).hexdigest() for word in (text, key.secret)]
        assert not [word for word in (text, key.secret, key.secret[:20], *plain) if word in dump]


def test_all_mistakes_are_told_at_once_with_what_was_meant(olga: User) -> None:
    factories.group("billing")
    told = problems(
        lambda: create_key(
            "", user="ogla", scopes=["reed", "sing"], groups=["biling", "x"], rate=-1,
            allowed_addresses=["10.20.0.1/16", "10.1.*.*", "home"], expires_at="2020-01-01T00:00:00Z",
        )
    )  # fmt: skip
    assert told == [
        "name: must have 1 to 100 characters; this has 0 (given: '')",
        "user: there is no such user; did you mean olga? (given: 'ogla')",
        "scopes: there is no such scope; did you mean read? (given: 'reed')",
        "scopes: there is no such scope; known are read, schedule, consume, operate, admin (given: 'sing')",
        "groups: there is no such group; did you mean billing? (given: 'biling')",
        "groups: there is no such group; create it first (given: 'x')",
        "allowed_addresses: is no network; did you mean 10.20.0.0/16? (given: '10.20.0.1/16')",
        "allowed_addresses: is no network; did you mean 10.1.0.0/16? (given: '10.1.*.*')",
        "allowed_addresses: is no network; give it as 10.20.0.0/16, 192.0.2.7 or 2001:db8::/32 (given: 'home')",
        "expires_at: has passed already (given: '2020-01-01T00:00:00+00:00')",
        "rate: must be a number of requests per second, above 0 and up to 1,000,000 (given: -1)",
    ]
    assert not ApplicationKey.objects.exists()


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": "x" * 101}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"name": 7}, "name"),
        ({"user": None}, "user"),
        ({"user": 1}, "user"),
        ({"scopes": []}, "scopes"),
        ({"scopes": "read"}, "scopes"),
        ({"scopes": [None]}, "scopes"),
        ({"scopes": {"read": True}}, "scopes"),
        ({"groups": ["billing"]}, "groups"),  # and all of them
        ({"all_groups": False}, "groups"),
        ({"all_groups": False, "groups": []}, "groups"),
        ({"all_groups": False, "groups": "billing"}, "groups"),
        ({"all_groups": "yes"}, "all_groups"),
        ({"all_groups": None}, "all_groups"),
        ({"allowed_addresses": "10.0.0.0/8"}, "allowed_addresses"),
        ({"allowed_addresses": [""]}, "allowed_addresses"),
        ({"allowed_addresses": ["*.*.*.*"]}, "allowed_addresses"),
        ({"allowed_addresses": [f"10.0.{n // 256}.{n % 256}" for n in range(1001)]}, "allowed_addresses"),
        ({"expires_at": datetime(2099, 1, 1)}, "expires_at"),
        ({"expires_at": "tomorrow"}, "expires_at"),
        ({"rate": 0}, "rate"),
        ({"rate": True}, "rate"),
        ({"rate": math.nan}, "rate"),
        ({"rate": "5"}, "rate"),
    ],
)
def test_what_makes_no_sense_is_refused_on_its_field(olga: User, fields: dict[str, Any], field: str) -> None:
    factories.group("billing")
    told = problems(lambda: a_key(**{"name": "sender", **fields}))
    assert {problem.partition(":")[0] for problem in told} == {field}
    assert not ApplicationKey.objects.exists()


def test_a_key_is_for_named_groups_or_for_all_and_never_by_default(olga: User) -> None:
    with pytest.raises(InvalidRequest, match="groups: are missing: name those that the key is for, or say all_groups"):
        create_key("sender", user=olga, scopes=["read"])


def test_a_user_who_may_not_sign_in_gets_no_key(olga: User) -> None:
    User.objects.update(is_active=False)
    assert problems(a_key) == ["user: is not active, so the key would be refused (given: 'olga')"]


def test_two_living_keys_cannot_share_a_name_but_a_revoked_one_gives_it_free(olga: User) -> None:
    row, _ = a_key()
    with pytest.raises(TimerExists, match="is taken by another key that is not revoked"):
        a_key()
    revoke_key(row.public_id)
    other, _ = a_key()
    third, _ = a_key("third")
    with pytest.raises(TimerExists):
        update_key(third.public_id, name="sender")
    update_key(other.public_id, name="sender")  # its own


def test_a_change_touches_only_what_was_given(olga: User) -> None:
    row, _ = a_key(rate=5, expires_at="2099-01-01T00:00:00Z")
    changed = update_key(row.public_id, scopes=["consume"], rate=None, actor="anna")
    assert (changed.scopes, changed.rate, changed.version, changed.updated_by) == (["consume"], None, 2, "anna")
    assert (changed.all_groups, changed.expires_at, changed.digest) == (True, row.expires_at, row.digest)
    assert update_key(row.public_id, expires_at=None).expires_at is None


def test_naming_groups_narrows_a_key_for_all_and_all_groups_widens_it(olga: User) -> None:
    billing = factories.group("billing")
    row, _ = a_key()
    narrowed = update_key(row.public_id, groups=["billing"])
    assert (narrowed.all_groups, list(narrowed.groups.all())) == (False, [billing])
    widened = update_key(row.public_id, all_groups=True)
    assert (widened.all_groups, list(widened.groups.all())) == (True, [])
    assert problems(lambda: update_key(row.public_id, all_groups=False))[0].startswith("groups: are missing")
    assert problems(lambda: update_key(row.public_id, groups=[]))[0].startswith("groups: name at least one")
    assert problems(lambda: update_key(row.public_id, groups=["billing"], all_groups=True))
    assert ApplicationKey.objects.get().version == 3


def test_a_key_that_has_lost_its_groups_can_be_changed_and_still_has_none(olga: User) -> None:
    row, _ = a_key(all_groups=False, groups=[factories.group("billing").name])
    row.groups.all().delete()
    changed = update_key(row.public_id, rate=3)
    assert (changed.all_groups, list(changed.groups.all())) == (False, [])


def test_a_change_is_refused_whole_for_a_field_unknown_a_version_passed_or_a_key_revoked(olga: User) -> None:
    row, _ = a_key()
    told = problems(lambda: update_key(row.public_id, scope=["read"], user="root", rate=-1))
    assert [problem.partition(" (")[0] for problem in told] == [
        "scope: is not known; did you mean scopes?",
        "user: is not known; known are name, scopes, groups, all_groups, allowed_addresses, expires_at, rate",
        "rate: must be a number of requests per second, above 0 and up to 1,000,000",
    ]
    for call in (update_key, rotate_key, revoke_key):
        with pytest.raises(StaleVersion, match="version 1, not 7"):
            call(row.public_id, version=7)
        with pytest.raises(TimerNotFound, match="there is no application key 'x'"):
            call("x")
    revoke_key(row.public_id)
    for call in (update_key, rotate_key):
        with pytest.raises(NotAllowedNow, match="is revoked for good"):
            call(row.public_id)


def test_a_key_whose_time_is_over_can_be_renamed_and_given_more_time(olga: User) -> None:
    row, _ = a_key()
    over = clock.now() - timedelta(days=1)
    ApplicationKey.objects.update(expires_at=over)
    assert update_key(row.public_id, name="other", expires_at=over).expires_at == over
    assert problems(lambda: update_key(row.public_id, expires_at=over - timedelta(days=1)))
    ahead = clock.now() + timedelta(days=1)
    assert update_key(row.public_id, expires_at=ahead).expires_at == ahead


def test_rotating_gives_another_secret_under_the_same_public_id(olga: User) -> None:
    row, first = a_key()
    rotated, second = rotate_key(row.public_id, overlap="PT2H", actor="anna")
    old, new = read_key(first), read_key(second)
    assert old and new
    assert (old.public_id, old.secret == new.secret) == (new.public_id, False)
    assert (rotated.digest, rotated.previous_digest) == (new.digest(), old.digest())
    assert rotated.previous_until == rotated.updated_at + timedelta(hours=2)
    for overlap in (-1, "soon", timedelta(days=400), True):
        assert problems(lambda given=overlap: rotate_key(row.public_id, overlap=given))[0].startswith("overlap: ")  # type: ignore[misc]


def test_a_key_is_revoked_once_and_stays_for_the_record(olga: User) -> None:
    row, _ = a_key()
    rotate_key(row.public_id)
    revoked = revoke_key(row.public_id, actor="anna")
    assert (revoked.revoked_by, revoked.previous_digest, revoked.previous_until) == ("anna", "", None)
    again = revoke_key(row.public_id, actor="otto")
    assert (again.revoked_at, again.revoked_by, again.version) == (revoked.revoked_at, "anna", revoked.version)


def test_keys_that_ended_go_with_the_history_some_at_a_time(olga: User, time: VirtualTime) -> None:
    for number in range(3):
        revoke_key(a_key(f"revoked {number}")[0].public_id)
    a_key("over", expires_at=clock.now() + timedelta(days=1))
    living, _ = a_key("living")
    time.advance(days=20)
    revoke_key(a_key("later")[0].public_id)
    time.advance(days=11)
    assert prune_keys(clock.now() - timedelta(days=40)) == 0
    assert prune_keys(clock.now() - timedelta(days=30), most=2) == 2
    pruned = prune(conf.load({"TIMERS_RETENTION": 30}))
    assert pruned is not None
    assert sorted(ApplicationKey.objects.values_list("name", flat=True)) == ["later", "living", "over"]
    time.advance(days=1)
    assert prune_keys(clock.now() - timedelta(days=30)) == 1
    assert living in ApplicationKey.objects.all()


@pytest.mark.parametrize("spoilt", [{"scopes": []}, {"scopes": ["root"]}, {"rate": 0}, {"previous_digest": "0" * 64}])
def test_the_database_takes_no_key_that_nobody_could_have_made(olga: User, spoilt: dict[str, Any]) -> None:
    a_key()
    with pytest.raises(IntegrityError), transaction.atomic():
        ApplicationKey.objects.update(**spoilt)
