"""The ledger's pages: history outlives its group and timer, and lateness counts from the instant due."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client

from tests import factories
from tests.admin.pages import list_of, page_of
from timers.insights.words import milliseconds

pytestmark = pytest.mark.django_db


def test_attempt_of_a_deleted_group_is_listed_and_shown(alice: Client) -> None:
    timer = factories.timer("billing", in_group=factories.group("orders"))
    row = factories.attempt(timer, "failed", error_title="ValueError: no vendor")
    timer.delete()
    timer.group.delete()
    for address in (list_of("attempt"), page_of("attempt", row.pk)):
        page = alice.get(address)
        assert page.status_code == 200
        text = page.content.decode()
        assert "no vendor" in text
        assert f"{row.group_id} (gone)" in text


def test_late_counts_from_the_share_of_the_jitter(alice: Client) -> None:
    timer = factories.timer("billing")
    timer.jitter = 300
    timer.save()
    row = factories.attempt(timer, ago=4000)
    row.started_at = row.scheduled_for + timer.offset + timedelta(seconds=7)
    row.save()
    assert timer.offset > timedelta(seconds=10)
    for address in (list_of("attempt"), page_of("attempt", row.pk), page_of("timer", timer.pk)):
        assert milliseconds(7000) in alice.get(address).content.decode(), address
