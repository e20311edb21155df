"""Addresses that no page links to, and forms that no page sends."""

from __future__ import annotations

import pytest
from django.test import Client

from tests.admin.pages import run


@pytest.mark.parametrize(
    "query",
    [
        "timers/auditentry/?actor=%00",
        "timers/auditentry/?q=%00",
        "timers/timer/?name__exact=a%00b",
        "autocomplete/?app_label=timers&model_name=applicationkey&field_name=groups&term=%00",
    ],
)
def test_a_nul_in_a_query_is_refused_before_it_is_looked_for(alice: Client, query: str) -> None:
    answer = alice.get(f"/admin/{query}")
    assert answer.status_code == 400
    assert answer.text.startswith("The query holds a NUL (%00)")
    assert alice.get("/admin/timers/auditentry/?q=%2500").status_code == 200


def test_a_nul_in_a_path_is_refused_with_the_place(alice: Client) -> None:
    answer = alice.get("/admin/timers/timer/%00/change/")
    assert answer.status_code == 400
    assert answer.text.startswith("The path holds a NUL (%00)")


def test_a_nul_in_a_cookie_is_refused(alice: Client) -> None:
    answer = Client().get("/", headers={"Cookie": 'sessionid="aaaaaaaa\\000"'})
    assert (answer.status_code, answer.text) == (400, "A cookie holds a NUL (\\000).\n")


@pytest.mark.parametrize(
    ("model", "action"),
    [("timer", "pause"), ("node", "drain"), ("waiting", "retry"), ("clusterpause", "delete_selected")],
)
@pytest.mark.parametrize("forged", ["abc", "\x00"])
def test_chosen_rows_that_cannot_be_any_are_refused(alice: Client, model: str, action: str, forged: str) -> None:
    assert run(alice, model, action, forged).status_code == 400
