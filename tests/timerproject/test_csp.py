from __future__ import annotations

import pytest
from django.http import HttpResponse
from django.test import Client, RequestFactory

from timerproject.csp import HEADER, POLICY, ContentSecurityPolicy


@pytest.mark.django_db
def test_every_page_forbids_scripts_from_elsewhere_and_inline_ones() -> None:
    for path in ("/login/", "/no-such-page/", "/admin/login/"):
        assert Client().get(path).headers[HEADER] == POLICY
    assert "unsafe" not in POLICY


def test_a_view_may_have_a_policy_of_its_own() -> None:
    own = ContentSecurityPolicy(lambda request: HttpResponse(headers={HEADER: "default-src 'none'"}))
    assert own(RequestFactory().get("/")).headers[HEADER] == "default-src 'none'"
