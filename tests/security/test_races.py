from __future__ import annotations

import pytest
from django.contrib.auth.models import User

from tests import factories
from tests.support.sessions import OtherSession
from timers.control.keys import create_key, update_key
from timers.exceptions import InvalidRequest
from timers.models import ApplicationKey, TimerGroup
from timers.security.api_keys.cache import KnownKeys
from timers.security.authentication import caller_of_key

HERE = "192.0.2.7"


@pytest.fixture(autouse=True)
def committed(transactional_db: None) -> None:
    User.objects.create_superuser("root")


def test_a_request_does_not_wait_for_somebody_who_holds_the_keys_row() -> None:
    row, text = create_key("sender", user="root", scopes=["read"], all_groups=True)
    with OtherSession() as other:
        other.begin()
        other.run(lambda: update_key(row.public_id, rate=5))
        assert caller_of_key(text, HERE, known=KnownKeys()).rate is None
        other.commit()
    row.refresh_from_db()
    assert (row.last_used_at, row.rate) == (None, 5.0)
    assert caller_of_key(text, HERE, known=KnownKeys()).rate == 5.0
    row.refresh_from_db()
    assert row.last_used_address == HERE


def test_a_key_is_not_made_for_a_group_that_is_just_being_deleted() -> None:
    group = factories.group("billing")
    with OtherSession() as other:
        other.begin()
        other.run(lambda: TimerGroup.objects.filter(pk=group.pk).delete())
        with OtherSession() as third:
            made = third.start(lambda: create_key("sender", user="root", scopes=["read"], groups=["billing"]))
            third.waits_for_a_lock()
            other.commit()
            with pytest.raises(InvalidRequest, match="there is no such group"):
                made.result(timeout=20)
    assert not ApplicationKey.objects.exists()
