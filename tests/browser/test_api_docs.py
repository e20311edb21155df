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


@pytest.mark.parametrize(("scheme", "is_dark"), [("dark", True), ("light", False)])
def test_the_pages_are_dark_where_the_system_is(open_page: Opened, scheme: str, is_dark: bool) -> None:
    page = open_page("/api/v1/docs", color_scheme=scheme)
    expect(page.locator(".opblock-tag").first).to_be_visible()
    ground = page.evaluate("getComputedStyle(document.documentElement).backgroundColor.match(/[0-9]+/g).map(Number)")
    assert (max(ground[:3]) < 60 and len(ground) == 3) == is_dark
