from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User

from timers import clock
from timers.control.keys import create_key
from timers.insights.doctor.keys import ending_keys
from timers.insights.keys import KEY_STATES, SOON, key_state, keys_in_state
from timers.models import ApplicationKey

pytestmark = pytest.mark.django_db

A_MOMENT = timedelta(microseconds=1)


def test_every_key_is_in_one_state_and_the_filter_agrees() -> None:
    user = User.objects.create_user("olga")
    now = clock.now()
    ends = (None, now - A_MOMENT, now, now + A_MOMENT, now + SOON, now + SOON + A_MOMENT)
    for number, end in enumerate(ends):
        for revoked in (False, True):
            row, _ = create_key(f"key {number} {revoked}", user=user, scopes=["read"], all_groups=True)
            ApplicationKey.objects.filter(pk=row.pk).update(expires_at=end, revoked_at=now if revoked else None)
    for state in KEY_STATES:
        by_filter = set(ApplicationKey.objects.filter(keys_in_state(state, now)).values_list("name", flat=True))
        assert by_filter == {row.name for row in ApplicationKey.objects.all() if key_state(row, now) == state}
        assert by_filter
    living = ApplicationKey.objects.filter(revoked_at=None).order_by("id")
    assert [key_state(row, now) for row in living] == ["valid", "expired", "expired", "expiring", "expiring", "valid"]


def test_the_doctor_tells_of_keys_in_use_that_end_soon() -> None:
    user = User.objects.create_user("olga")
    now = clock.now()
    for name, end, used in (("due", 3, 1), ("far", 30, 1), ("idle", 3, 30), ("over", -1, 1), ("unused", 3, None)):
        row, _ = create_key(name, user=user, scopes=["read"], all_groups=True)
        ApplicationKey.objects.filter(pk=row.pk).update(
            expires_at=now + timedelta(days=end), last_used_at=None if used is None else now - timedelta(days=used)
        )
    (finding,) = ending_keys(now)
    assert finding.what == "1 application key in use ends within 7 days."
    assert [row["key"] for row in finding.evidence] == ["due"]
    ApplicationKey.objects.filter(name="due").update(revoked_at=now)
    assert ending_keys(now) == []
