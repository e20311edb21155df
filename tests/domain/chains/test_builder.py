"""The builder makes the same definition as JSON does."""

from __future__ import annotations

import pytest

from tests.domain.chains.engine import END
from timers.domain.chains import parse_chain
from timers.domain.chains.builder import chain
from timers.exceptions import InvalidRequest


def test_builder_makes_the_json_form_of_every_kind() -> None:
    built = (
        chain("import", deadline=3600, locks={"db": 1}, finally_="clean")
        .step("fetch", action="orders.fetch", results=["total"], locks=["db"])
        .fork("both", {"invoice": "write", "stock": "reserve"}, join="joined")
        .step("write", action={"kind": "http", "url": "https://example.org/"}, next="joined")
        .step("reserve", action="stock.reserve", retry=[10, 60], on_exhausted="suspend", next="joined")
        .join("joined", mode="any")
        .map("each", over="lines", branch="line", join="lines-done", parallel=4)
        .step("line", action="lines.load", next="lines-done")
        .join("lines-done", on_branch_failure="ignore")
        .choice("large", when=[({"total": {"at_least": 1000}}, "approve")], default="pause")
        .approval("approve", text="Really?", refused="refused")
        .wait("pause", duration=5)
        .signal("paid", deadline=60, on_deadline={"goto": "refused"})
        .sub_chain("ship", "shipping", results=["parcel"], next="done")
        .step("clean", action="orders.clean", next="done")
        .end("done")
        .end("refused", outcome="failed", reason="not wanted")
        .build()
    )
    python = {"kind": "python"}

    assert built == {
        "deadline": 3600,
        "locks": {"db": 1},
        "finally": "clean",
        "steps": {
            "fetch": {"kind": "action", "action": {**python, "handler": "orders.fetch"}, "results": ["total"],
                      "locks": ["db"], "next": "both"},
            "both": {"kind": "fork", "branches": {"invoice": "write", "stock": "reserve"}, "join": "joined"},
            "write": {"kind": "action", "action": {"kind": "http", "url": "https://example.org/"}, "next": "joined"},
            "reserve": {"kind": "action", "action": {**python, "handler": "stock.reserve"}, "retry": [10, 60],
                        "on_exhausted": "suspend", "next": "joined"},
            "joined": {"kind": "join", "mode": "any", "next": "each"},
            "each": {"kind": "map", "over": "lines", "branch": "line", "join": "lines-done", "parallel": 4},
            "line": {"kind": "action", "action": {**python, "handler": "lines.load"}, "next": "lines-done"},
            "lines-done": {"kind": "join", "mode": "all", "on_branch_failure": "ignore", "next": "large"},
            "large": {"kind": "choice", "choices": [{"when": {"total": {"at_least": 1000}}, "next": "approve"}],
                      "default": "pause"},
            "approve": {"kind": "approval", "text": "Really?", "refused": "refused", "next": "pause"},
            "pause": {"kind": "wait", "duration": 5, "next": "paid"},
            "paid": {"kind": "signal", "deadline": 60, "on_deadline": {"goto": "refused"}, "next": "ship"},
            "ship": {"kind": "chain", "chain": "shipping", "results": ["parcel"], "next": "done"},
            "clean": {"kind": "action", "action": {**python, "handler": "orders.clean"}, "next": "done"},
            "done": {"kind": "end", "outcome": "succeeded"},
            "refused": {"kind": "end", "outcome": "failed", "reason": "not wanted"},
        },
    }  # fmt: skip
    assert len(parse_chain(built).steps) == 16


def test_last_step_is_followed_by_an_end() -> None:
    assert chain("one").step("a", action="h").build()["steps"] == {
        "a": {"kind": "action", "action": {"kind": "python", "handler": "h"}, "next": "end"},
        "end": END,
    }


def test_step_that_is_there_already_is_refused() -> None:
    with pytest.raises(InvalidRequest, match=r"steps\.a: is there already"):
        chain("two").step("a", action="h").step("a", action="h")


def test_end_is_not_added_twice() -> None:
    with pytest.raises(InvalidRequest, match=r'steps\.a\.next: is missing, and "end" is not the last step'):
        chain("three").end("end").step("a", action="h").build()


def test_build_can_be_called_again_after_more_steps() -> None:
    builder = chain("four").step("a", action="h")
    builder.build()

    assert list(builder.step("b", action="h").build()["steps"]) == ["a", "b", "end"]
