from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from tests import factories

pytestmark = pytest.mark.django_db


def test_what_a_call_sent_and_got_is_shown_with_its_try_and_escaped(alice: Client) -> None:
    kept = {"request": {"url": "https://x.example/"}, "response": {"status": 500, "body": "<script>alert(1)</script>"}}
    row = factories.attempt(factories.timer(), "failed", exchange=kept)

    page = alice.get(reverse("admin:timers_attempt_change", args=[row.pk])).content.decode()

    assert "https://x.example/" in page
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>alert(1)" not in page


def test_a_group_that_calls_a_url_is_told_by_it_without_the_query(alice: Client) -> None:
    factories.group("hooks", action={"kind": "http", "url": "https://x.example/hook?token=t0ken"})

    page = alice.get(reverse("admin:timers_timergroup_changelist")).content.decode()

    assert "POST https://x.example/hook" in page
    assert "t0ken" not in page
