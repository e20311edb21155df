"""Addresses that nobody can mean are refused in words that help."""

from __future__ import annotations

import logging

import pytest
from django.test import Client, override_settings

from tests.api.asking import Asking, problem


def test_a_host_that_is_not_served_is_said_to_be_none_and_which_are_is_not_told(
    api: Asking, caplog: pytest.LogCaptureFixture
) -> None:
    api.client = Client(SERVER_NAME="evil.example.org")
    said = problem(api("GET", "/groups"), 400, "malformed")
    assert said["detail"] == (
        "This host (the Host header) is not served here; whoever runs the service names it in ALLOWED_HOSTS."
    )
    page = api.client.get("/")
    assert (page.status_code, page.text) == (400, said["detail"] + "\n")
    assert all(record.levelno == logging.WARNING and record.exc_info is None for record in caplog.records)


def test_a_nul_in_a_path_is_refused_with_the_place(api: Asking) -> None:
    said = problem(api("GET", "/groups/a%00b"), 400, "malformed")
    assert said["detail"].startswith("The path holds a NUL (%00)")


@override_settings(ROOT_URLCONF="tests.support.no_urls")
def test_requests_pass_where_the_urls_of_the_app_are_not_included() -> None:
    assert Client().get("/api/v1/groups").headers["Content-Type"].startswith("text/html")
