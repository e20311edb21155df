from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests import factories

pytestmark = [pytest.mark.browser]

Opened = Callable[..., Page]
HIDE = """hidden => {
  Object.defineProperty(document, 'hidden', {value: hidden, configurable: true});
  document.dispatchEvent(new Event('visibilitychange'));
}"""


def fill() -> Any:
    timer = factories.timer("charge-subscriptions", in_group=factories.group("billing"), due_in=3600)
    factories.node("node-a", beat_ago=0, lease=3600, heartbeat_interval=1800)
    factories.attempt(timer, ago=5)
    factories.minute(timer.group)
    return timer


def fragments(page: Page) -> list[str]:
    """Grows by one with each refresh that the page asks for."""
    asked: list[str] = []
    page.on("request", lambda request: request.headers.get("hx-request") and asked.append(request.url))
    return asked


def live_word(page: Page) -> Any:
    return page.locator("#live-word")


def test_what_happens_appears_by_itself(open_page: Opened) -> None:
    timer = fill()
    page = open_page()
    page.evaluate("window.notReloaded = true")
    latest = page.get_by_role("region", name="Latest attempts")
    expect(latest.get_by_text("error")).to_have_count(0)

    factories.attempt(timer, "error", ago=1, error_title="CardDeclined: account expired")

    expect(latest.get_by_text("CardDeclined: account expired")).to_be_visible(timeout=6000)
    assert page.evaluate("window.notReloaded")
    expect(live_word(page)).to_have_text("Live")


def test_the_title_counts_what_failed(open_page: Opened) -> None:
    timer = fill()
    page = open_page()
    expect(page).to_have_title("Overview · Timers")

    factories.waiting(timer)

    expect(page).to_have_title("(1 failed) Overview · Timers", timeout=6000)


def test_a_hidden_tab_asks_for_nothing_and_is_fresh_when_it_is_back(open_page: Opened) -> None:
    fill()
    page = open_page(clock=True)
    asked = fragments(page)
    with page.expect_request("**/"):
        page.clock.run_for(2100)

    page.evaluate(HIDE, True)
    seen = len(asked)
    page.clock.run_for(60_000)
    assert len(asked) == seen

    with page.expect_response("**/"):
        page.evaluate(HIDE, False)


def test_paused_means_no_request_at_all_and_outlives_a_reload(open_page: Opened) -> None:
    fill()
    page = open_page(clock=True)
    page.get_by_role("button", name="Pause").click()
    expect(live_word(page)).to_have_text("Paused")
    asked = fragments(page)

    page.clock.run_for(60_000)
    page.reload()
    expect(live_word(page)).to_have_text("Paused")
    page.clock.run_for(60_000)
    assert not asked

    with page.expect_response("**/"):
        page.get_by_role("button", name="Resume").click()
    expect(live_word(page)).to_have_text("Live")


def test_a_server_that_is_away_is_told_and_found_again(open_page: Opened) -> None:
    fill()
    page = open_page(may_fail=("Failed to load resource", "htmx:"), clock=True)
    page.route("**/", lambda route: route.abort())
    with page.expect_event("requestfailed"):
        page.clock.run_for(2100)
    expect(live_word(page)).to_have_text(re.compile(r"Reconnecting \(last data \d+ s ago\)"))
    expect(page.locator("#live")).to_have_class(re.compile("is-stale"))

    page.unroute("**/")
    with page.expect_response("**/"):
        page.clock.run_for(31_000)
    expect(live_word(page)).to_have_text("Live")


def test_an_ended_session_leads_to_the_login(open_page: Opened) -> None:
    fill()
    page = open_page()
    page.context.clear_cookies()

    expect(page).to_have_url(re.compile(r"/login/\?next=/$"), timeout=6000)


def test_focus_stays_where_it_was(open_page: Opened) -> None:
    fill()
    page = open_page(clock=True)
    page.get_by_role("region", name="Next fires").get_by_role("link").focus()
    with page.expect_response("**/"):
        page.clock.run_for(2100)

    expect(page.get_by_role("region", name="Next fires").get_by_role("link")).to_be_focused()


def test_what_is_being_selected_is_not_taken_away(open_page: Opened) -> None:
    fill()
    page = open_page(clock=True)
    asked = fragments(page)
    page.evaluate("getSelection().selectAllChildren(document.getElementById('sentence'))")

    page.clock.run_for(20_000)

    assert not asked


def test_countdowns_run_between_two_refreshes(open_page: Opened) -> None:
    fill()
    page = open_page(clock=True)
    page.route("**/", lambda route: route.fulfill(status=204))
    countdown = page.locator(".countdown")
    before = countdown.text_content()

    page.clock.run_for(1100)

    expect(countdown).not_to_have_text(before or "")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read_in_light_and_dark(open_page: Opened, scheme: str) -> None:
    timer = fill()
    for outcome in ("failed", "error", "skipped", "discarded", "cancelled"):
        factories.attempt(timer, outcome, ago=len(outcome) * 10)
    factories.node(state="dead", ended_at=factories.clock.now())
    factories.waiting(timer)
    page = open_page(color_scheme=scheme)

    assert page.evaluate(LOWEST_CONTRAST) >= 4.5


@pytest.mark.parametrize("width", [320, 390])
def test_a_narrow_screen_shows_cards_and_does_not_scroll_sideways(open_page: Opened, width: int) -> None:
    timer = fill()
    factories.attempt(factories.timer("x" * 200, in_group=timer.group), "failed", error_title="y" * 300)
    page = open_page(viewport={"width": width, "height": 844}, has_touch=True)

    assert page.evaluate("document.documentElement.scrollWidth") <= width
    expect(page.locator("table.cards thead").first).not_to_be_in_viewport()


def test_the_keyboard_reaches_the_content_past_the_bar(open_page: Opened) -> None:
    fill()
    page = open_page()

    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()


def test_without_javascript_the_page_is_whole_and_says_that_it_stands_still(open_page: Opened) -> None:
    fill()
    page = open_page(java_script_enabled=False)

    expect(page.get_by_role("region", name="Latest attempts").get_by_text("succeeded")).to_be_visible()
    expect(live_word(page)).to_have_text("Not live: no JavaScript")


@pytest.mark.parametrize("model", ["timer", "timergroup", "attempt", "waiting", "node"])
def test_the_admin_keeps_the_content_security_policy_too(open_page: Opened, model: str) -> None:
    timer = fill()
    factories.waiting(timer)
    page = open_page(f"/admin/timers/{model}/")

    expect(page.locator("#result_list tbody tr")).not_to_have_count(0)
    page.locator("#result_list tbody a").first.click()
    expect(page.locator(f"#{model}_form")).to_be_visible()


def test_the_buttons_of_a_failed_execution_lead_to_what_must_be_said_first(open_page: Opened) -> None:
    row = factories.waiting(factories.timer())
    page = open_page(f"/admin/timers/waiting/{row.pk}/change/")

    page.get_by_role("button", name="Dismiss").click()
    expect(page.get_by_label("Reason:")).to_be_visible()
    page.get_by_role("link", name="Back").click()
    page.get_by_role("link", name=row.name).click()
    page.get_by_role("button", name="Retry with another payload").click()
    expect(page.get_by_label("Payload:")).to_have_value("")


def test_the_form_of_a_timer_shows_the_field_of_its_kind(open_page: Opened) -> None:
    factories.group()
    page = open_page("/admin/timers/timer/add/")

    page.get_by_label("Schedule:").select_option("cron")

    expect(page.get_by_label("Expression:")).to_be_visible()
    expect(page.get_by_label("Period:")).to_be_hidden()


# The lowest contrast of any text against what lies behind it (WCAG 2 relative luminance).
LOWEST_CONTRAST = """() => {
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const rgb = colour => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = element => {
    for (let at = element; at; at = at.parentElement) {
      const colour = rgb(getComputedStyle(at).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    return [255, 255, 255, 255];
  };
  let lowest = 21;
  for (const element of document.querySelectorAll('body *')) {
    const own = [...element.childNodes].some(node => node.nodeType === 3 && node.textContent.trim());
    if (!own || !element.offsetParent) continue;
    const [a, b] = [light(rgb(getComputedStyle(element).color)), light(behind(element))];
    lowest = Math.min(lowest, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05));
  }
  return lowest;
}"""
