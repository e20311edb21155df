"""The examples of the page on subscriptions run, and do what it says."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.docs import snippets
from timers.control.subscriptions import list_subscriptions
from timers.domain.filters import Filter
from timers.handlers import handler
from timers.testing import Stepper, VirtualTime

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def called() -> Iterator[list[str]]:
    """The clock stands still, and a handler is there for the subscription of the example."""
    with snippets.handlers_of_its_own():
        names: list[str] = []
        handler("books.enter")(lambda fire: names.append(fire.subscription))
        VirtualTime()
        yield names


def test_every_example_of_subscriptions_does_what_it_says(called: list[str]) -> None:
    names = snippets.run("docs/subscriptions.md")

    assert names["message"].envelope["Subscription"] == "mails"
    assert (names["gone"].cancelled, names["gone"].handed_over, names["gone"].in_flight) == (0, 0, [])
    assert [row.name for row in list_subscriptions("orders")] == ["books"]
    Stepper(VirtualTime()).until_idle()
    assert called == ["books"]


def test_the_filter_that_is_shown_is_one() -> None:
    source = snippets.page("docs/subscriptions.md").partition(f"```python\n{snippets.FRAME}")[2].partition("```")[0]
    shown: dict[str, dict[str, object]] = {}
    exec(source, shown)
    order = {"kind": "invoice", "customer": {"country": "DE"}, "lines": [{"sku": 1}], "total": 100}
    assert Filter.parse(shown["filter"]).matches(["eu", "vip"], order)
