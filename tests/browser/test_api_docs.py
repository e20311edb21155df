"""The pages of the REST API's description: complete, quiet, and with nothing from other hosts (see open_page)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

pytestmark = [pytest.mark.browser]

Opened = Callable[..., Page]


def test_the_pages_show_every_resource(open_page: Opened) -> None:
    page = open_page("/api/v1/docs")
    expect(page.locator(".opblock-tag").first).to_be_visible()
    tags = {tag.strip() for tag in page.locator(".opblock-tag").all_inner_texts()}
    assert {"timers", "groups", "executions", "consumers", "keys"} <= tags


def test_a_call_can_be_tried_from_the_pages_with_the_session(open_page: Opened) -> None:
    page = open_page("/api/v1/docs#/keys/me_me", may_fail=("deep link whitespace",))
    block = page.locator("#operations-keys-me_me")
    expect(block).to_be_visible()
    block.get_by_role("button", name="Try it out").click()
    block.get_by_role("button", name="Execute").click()
    expect(block.locator(".live-responses-table tbody .response-col_status").first).to_contain_text("200")
