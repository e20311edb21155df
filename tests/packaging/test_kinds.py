"""A kind of schedule and a kind of action that a project brings, each in a module of its own."""

from __future__ import annotations

import json
import os
import signal

import pytest

from tests.packaging.conftest import Host
from tests.support.eventually import eventually

pytestmark = [pytest.mark.cluster, pytest.mark.parametrize("host", ["default"], indirect=True)]

SCHEDULE = """
import json
from django.contrib.auth import get_user_model
from django.test import Client
from timers.scheduling import ensure_group, schedule_timer

user = get_user_model().objects.create_superuser("owner", password="owner")
owner = Client()
owner.force_login(user)
ensure_group("sales", action={"kind": "sale", "item": "apples"})

KIND = {"kind": "times_a_day", "times": 86_400}
schedule_timer({**KIND, "group": "sales", "name": "python"})
rest = owner.post(
    "/ops/timers/api/v1/groups/sales/timers",
    {**KIND, "name": "rest", "action": {"kind": "sale", "item": "pears"}},
    content_type="application/json",
)
refused = owner.post(
    "/ops/timers/api/v1/groups/sales/timers",
    {"kind": "times_a_day", "times": 0, "name": "wrong", "action": {"kind": "sale"}},
    content_type="application/json",
)
page = owner.get("/office/timers/timer/add/").content.decode()
group = __import__("timers.models").models.TimerGroup.objects.get()
admin = owner.post("/office/timers/timer/add/", {
    "group": group.pk, "name": "admin", "schedule_kind": "times_a_day", "times": "86400", "time_zone": "UTC",
    "payload": "null", "action": '{"kind": "sale", "item": "plums"}', "overrides": "", "tags": "",
})
print(json.dumps({
    "rest": [rest.status_code, rest.json().get("words"), rest.json().get("times")],
    "refused": [refused.status_code, sorted(error["field"] for error in refused.json()["errors"])],
    "form": ['name="times"' in page, "times a day: how often." in page],
    "admin": admin.status_code,
    "openapi": owner.get("/ops/timers/api/v1/openapi.json").content.decode(),
}))
"""
FILE = """
timers:
  - {group: sales, name: file, kind: times_a_day, times: 86400}
"""


def test_they_are_scheduled_by_every_interface_described_and_run(host: Host) -> None:
    host.migrate()
    found = json.loads(host.python(SCHEDULE))
    (host.folder / "sales.yaml").write_text(FILE)
    host.manage("synctimers", "--file", "sales.yaml")
    assert found["rest"] == [201, "every 1 s", 86_400]
    assert found["refused"] == [422, ["action.item", "times"]]
    assert found["form"] == [True, True]
    assert found["admin"] == 302
    description = found["openapi"]
    assert '"times_a_day"' in description
    assert "sale: note a sale" in description
    node = host.start("runtimerworker", "--workers", "1")
    expected = {"python apples", "rest pears", "admin plums", "file apples"}
    try:
        eventually(lambda: host.notes.exists() and expected <= set(host.notes.read_text().splitlines()), within=60)
    finally:
        os.killpg(node.pid, signal.SIGTERM)
        node.wait(60)
