"""Lists of the admin on narrow windows and with the longest names."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests import factories

pytestmark = [pytest.mark.browser]

Opened = Callable[..., Page]


def test_the_faults_fit_a_telephone_and_each_value_says_what_it_is(open_page: Opened) -> None:
    factories.waiting(factories.timer(), error_fingerprint="f" * 32, error_title="HTTPError: " + "x" * 150)
    page = open_page("/admin/timers/waiting/failures/", viewport={"width": 390, "height": 800})
    fault = page.locator("th.timers-fault")
    expect(fault).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert fault.evaluate("cell => cell.clientWidth") > 300
    expect(page.locator("td[data-label=Executions]")).to_be_visible()


def test_a_name_without_a_place_to_break_leaves_room_for_the_other_columns(open_page: Opened) -> None:
    factories.timer("x" * 200)
    page = open_page("/admin/timers/timer/", viewport={"width": 1280, "height": 800})
    expect(page.locator("td.field-state_cell")).to_be_in_viewport()
    expect(page.locator("td.field-next_cell")).to_be_in_viewport()
