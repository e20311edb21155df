from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.contrib.admin.models import LogEntry
from django.test import Client

from tests import factories
from timers.models import ExclusionCalendar
from timers.scheduling import create_calendar

ADD = "/admin/timers/exclusioncalendar/add/"
LIST = "/admin/timers/exclusioncalendar/"


def sent(**fields: Any) -> dict[str, Any]:
    return {"name": "free", "description": "", "time_zone": "", "rules": '[{"weekdays": ["sat", "sun"]}]', **fields}


def test_a_calendar_is_created_edited_and_shows_what_it_excludes_next(alice: Client) -> None:
    assert alice.post(ADD, sent(time_zone="Europe/Berlin")).status_code == 302
    row = ExclusionCalendar.objects.get()
    assert (row.name, row.rules, row.updated_by) == ("free", [{"weekdays": ["sat", "sun"]}], "alice")

    address = f"{LIST}{row.pk}/change/"
    page = alice.get(address).content.decode()
    assert "read in Europe/Berlin" in page
    # Each weekend is named after its first day; one that has begun, on a Sunday, after that.
    assert page.count(": Saturday</li>") + page.count(": Sunday</li>") == 12

    assert alice.post(address, sent(rules='[{"holidays": "DE"}]', time_zone="Europe/Berlin")).status_code == 302
    row.refresh_from_db()
    assert (row.rules, row.version) == ([{"holidays": "DE"}], 2)


def test_a_rule_that_makes_no_sense_comes_back_on_its_field(alice: Client) -> None:
    answer = alice.post(ADD, sent(rules='[{"weekdays": ["caturday"]}]'))
    errors = answer.context["adminform"].form.errors
    assert "rules.0.weekdays" in errors["rules"][0]
    assert not ExclusionCalendar.objects.exists()


def test_a_calendar_that_is_in_use_is_not_deleted(alice: Client) -> None:
    used, free = create_calendar("used", rules=[]), create_calendar("unused", rules=[])
    factories.group("billing", exclusion_calendars=["used"])
    answer = alice.post(LIST, {"action": "remove", "_selected_action": [used.pk, free.pk]}, follow=True)
    told = " ".join(str(message) for message in answer.context["messages"])
    assert "Deleted: 1 exclusion calendar." in told
    assert "referred to by group billing" in told
    assert [row.name for row in ExclusionCalendar.objects.all()] == ["used"]
    assert LogEntry.objects.filter(change_message__contains="Deleted").exists()


def test_a_calendar_that_was_spoilt_by_hand_breaks_no_page(alice: Client) -> None:
    row = create_calendar("free", rules=[])
    ExclusionCalendar.objects.update(rules=[{"nonsense": 1}])
    assert "is no rule that is known" in alice.get(f"{LIST}{row.pk}/change/").content.decode()
    assert alice.get(LIST).status_code == 200


def test_the_page_of_a_timer_shows_its_next_fires_with_notes_and_warnings(alice: Client) -> None:
    create_calendar("free", rules=[{"weekdays": ["mon", "tue", "wed", "thu", "fri", "sat"]}])
    group = factories.group(exclusion_calendars=["free"])
    timer = factories.timer(
        in_group=group, schedule_kind="cron", schedule={"expression": "*/7 9 * * *"}, time_zone="Europe/Berlin",
        next_fire_at=datetime(2030, 1, 7, 8, tzinfo=UTC),  # a Monday
    )  # fmt: skip
    page = alice.get(f"/admin/timers/timer/{timer.pk}/change/").content.decode()
    assert "skipped: excluded by free" in page
    assert "every 7 minutes, but the last step of each hour is 4" in page
