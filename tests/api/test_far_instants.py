"""Instants at the ends of time: refused by their field, or kept, and no page breaks because of them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.asking import Asking, fields, problem
from timers.models import Timer

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("billing")]

TIMERS = "/groups/billing/timers"
LAST = "8999-12-31T23:59:59Z"
ZONES = ("Pacific/Kiritimati", "Etc/GMT+12", "UTC", "Europe/Berlin")  # 14 hours ahead, 12 behind
AT_THE_END: dict[str, dict[str, Any]] = {
    "once": {"kind": "once", "at": LAST, "jitter": 31_622_400},
    "fixed_rate": {"kind": "fixed_rate", "period": 86_400, "start_at": LAST, "jitter": 31_622_400},
    "fixed_delay": {"kind": "fixed_delay", "delay": 86_400, "start_at": LAST},
    "cron": {"kind": "cron", "expression": "0 0 12 * * ?", "start_at": "8999-12-30T00:00:00Z"},
    "calendar": {"kind": "calendar", "hour": "*", "minute": "*", "start_at": "8999-12-31T23:00:00Z"},
    "window": {
        "kind": "window", "begin": "22:00", "end": "02:00", "every": 60, "start_at": "8999-12-30T12:00:00Z",
    },
    "rrule": {"kind": "rrule", "rule": "FREQ=HOURLY", "start_at": "8999-12-31T12:00:00Z"},
}  # fmt: skip


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("kind", AT_THE_END)
def test_a_timer_at_the_end_of_time_is_scheduled_read_listed_changed_and_cancelled(
    kind: str, zone: str, api: Asking
) -> None:
    asked = {**AT_THE_END[kind], "name": "late", "time_zone": zone}
    assert api.post(TIMERS, asked)["next_fire_at"].startswith(("8999-12-3", "9000", "9001"))
    assert api.get(f"{TIMERS}/late")["state"] == "active"
    assert [each["name"] for each in api.get(TIMERS)["items"]] == ["late"]
    assert api.get(f"{TIMERS}/late/next-fires")["fires"]
    assert api.post("/schedules/preview", {**asked, "group": "billing"})["fires"]
    for other in ZONES:
        said = api("PATCH", f"{TIMERS}/late", {"time_zone": other})
        assert said.status_code in {200, 422}, said.content
    assert api("DELETE", f"{TIMERS}/late", Idempotency_Key="once").status_code == 200
    assert api.get(TIMERS)["items"][0]["state"] == "cancelled"


@pytest.mark.parametrize("instant", ["9999-12-31T23:59:59Z", "9000-01-01T00:00:00Z", "1969-12-31T23:59:59Z"])
@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize(
    ("field", "rest"),
    [
        ("at", {"kind": "once"}),
        *((word, {"kind": "fixed_rate", "period": 60}) for word in ("start_at", "end_at")),
        *((word, {"kind": "rrule", "rule": "FREQ=DAILY"}) for word in ("start_at", "end_at")),
    ],
)
def test_an_instant_beyond_the_ends_of_time_is_refused_by_its_field(
    field: str, rest: dict[str, Any], zone: str, instant: str, api: Asking
) -> None:
    asked = {"name": "never", "time_zone": zone, field: instant, **rest}
    for path, body in ((TIMERS, asked), ("/schedules/preview", {**asked, "group": "billing"})):
        said = problem(api("POST", path, body), 422, "invalid")
        assert fields(said) == [field]
        assert "years 1970 to 8999" in said["errors"][0]["message"]
    assert not Timer.objects.exists()
