"""A definition is read as a whole: what is right comes back equal, what is wrong is told with its place."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest

from tests.domain.chains.engine import END, action
from timers import actions
from timers.domain.chains import Chain, parse_chain, to_json
from timers.exceptions import InvalidRequest

EVERY_KIND: dict[str, Any] = {
    "description": "An order's import",
    "priority": 3,
    "variables": {"currency": "EUR"},
    "locks": {"printer": 2, "ledger": "shared"},
    "deadline": "PT1H",
    "on_deadline": {"goto": "late"},
    "finally": "clean",
    "steps": {
        "fetch": action(
            "both", results=["total", "lines"], retry=[10, 60], on_exhausted="suspend", delay=2, timeout=30,
            required_roles=["import"], max_orders=5, locks=["printer", "ledger"], description="From the shop",
            max_visits=3,
        ),
        "both": {"kind": "fork", "branches": {"invoice": "write", "stock": "reserve"}, "join": "joined"},
        "write": action("joined", retry={"min_backoff": 1, "max_backoff": 5, "jitter": 0.5}, max_setbacks=2),
        "reserve": action("joined", on_error="suspend"),
        "joined": {"kind": "join", "mode": 2, "on_branch_failure": "wait", "next": "each", "on_error": "suspend"},
        "each": {"kind": "map", "over": "order.lines", "branch": "line", "element": "line", "parallel": 4,
                 "into": "lines_done", "join": "all-lines", "on_error": {"goto": "late"}},
        "line": action("all-lines", results={"sku": "/article/sku"}),
        "all-lines": {"kind": "join", "next": "big", "on_branch_failure": "ignore"},
        "big": {"kind": "choice", "default": "pause",
                "choices": [{"when": {"total": {"at_least": 100}, "currency": "EUR"}, "next": "approve"}]},
        "approve": {"kind": "approval", "text": "Really?", "next": "pause", "refused": "late", "deadline": 3600,
                    "default": "refuse"},
        "pause": {"kind": "wait", "duration": 5, "next": "night"},
        "night": {"kind": "wait", "cron": "0 2 * * *", "time_zone": "Europe/Berlin", "next": "day"},
        "day": {"kind": "wait", "until": "2027-01-01T00:00:00Z", "next": "paid"},
        "paid": {"kind": "signal", "signal": "payment", "deadline": 60, "on_deadline": {"goto": "late"},
                 "results": {"amount": "/amount"}, "next": "ship"},
        "ship": {"kind": "chain", "chain": "shipping", "variables": ["lines"], "results": ["parcel"], "next": "done",
                 "on_error": {"goto": "late"}},
        "late": action("failed"),
        "done": END,
        "failed": {"kind": "end", "outcome": "failed", "reason": "too late"},
        "clean": action("done"),
    },
}  # fmt: skip


def problems(spec: Any) -> list[str]:
    with pytest.raises(InvalidRequest) as caught:
        parse_chain(spec)
    return [f"{each.field}: {each.message}" for each in caught.value.problems]


def changed(**steps: Any) -> dict[str, Any]:
    """A chain of two steps, with some replaced or added."""
    return {"steps": {"a": action("z"), "z": END, **steps}}


def test_definition_with_every_kind_of_step_comes_back_equal() -> None:
    chain = parse_chain(EVERY_KIND)

    text = json.dumps(to_json(chain))

    assert parse_chain(json.loads(text)) == chain
    assert json.dumps(to_json(parse_chain(json.loads(text)))) == text


def test_first_step_is_the_start_unless_another_is_named() -> None:
    assert parse_chain(changed()).start == "a"
    assert parse_chain({"start": "b", **changed(a=action("z"), b=action("a"))}).start == "b"


def test_step_without_kind_is_an_action() -> None:
    assert parse_chain(changed(a={"action": {"handler": "h"}, "next": "z"})).steps["a"].kind == "action"


def test_definition_is_not_changed_by_reading() -> None:
    before = deepcopy(EVERY_KIND)

    parse_chain(EVERY_KIND)

    assert before == EVERY_KIND


def test_every_mistake_of_a_definition_is_reported_at_once() -> None:
    spec = {
        "prioritty": 1,
        "priority": 99,
        "start": "stat",
        "locks": {"db": 0},
        "steps": {
            "start": action("stok", retry={"min_backof": 1}, locks=["dbb"], timeout=-1),
            "stock": {"kind": "actoin", "next": "start"},
            "both": {"kind": "fork", "join": "stock", "branches": {}},
            "alone": {"kind": "join", "next": "start"},
        },
    }  # fmt: skip

    found = problems(spec)

    assert found == [
        "prioritty: is not known; did you mean priority?",
        "priority: must be a whole number from -9 to 9 (given: 99)",
        'locks.db: must be a whole number from 1 to 10,000, or "shared" for a lock that is declared elsewhere '
        "(given: 0)",
        "steps.start.retry.min_backof: is not known; did you mean min_backoff?",
        "steps.start.timeout: must be from 10 ms to 366 d (given: -1)",
        "steps.stock.kind: must be one of action, fork, join, map, choice, approval, signal, wait, chain, end. "
        "Did you mean action? (given: 'actoin')",
        "steps.both.branches: must be an object such as {\"invoice\": \"write-invoice\"} (given: {})",
        'start: "stat" is not a step of this chain. Did you mean "start"?',
        'steps.start.next: "stok" is not a step of this chain. Did you mean "stock"?',
        'steps.start.locks: no lock "dbb" is declared. Add it to "locks" of the chain: {"dbb": 1}.',
        'steps.alone: is a join without its fork. Name it as "join" of a fork or map: "join": "alone".',
    ]  # fmt: skip


FORK = {"kind": "fork", "branches": {"x": "x", "y": "y"}, "join": "j"}
JOIN = {"kind": "join", "next": "z"}


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        (5, "chain: must be an object"),
        ({}, "steps: must be an object such as"),
        ({"steps": []}, "steps: must be an object such as"),
        ({"steps": {}}, "steps: must be an object such as"),
        ({"steps": {"a": 5}}, "steps.a: must be an object such as"),
        ({"steps": {f"s{n}": END for n in range(1001)}}, "steps: may be at most 1,000; these are 1,001"),
        (changed(a={"kind": "action", "next": "z"}), "steps.a.action: is missing. Give an action such as"),
        (changed(a={"action": {"handler": "h"}}), "steps.a.next: is missing. Name the step that follows"),
        (changed(a=action("z", next=5)), "steps.a.next: must be the name of a step"),
        (changed(**{"x\ny": END}), "steps.x\ny: must not hold control characters"),
        (changed(**{"x" * 201: END}), "must have 1 to 200 characters"),
        (changed(**{"..": END}), 'steps...: must not be "." or ".."'),
        (changed(lost=action("z")), "steps.lost: is a step that nothing reaches. Lead to it, or remove it."),
        (changed(lost=END), "steps.lost: is a step that nothing reaches"),
        ({"steps": {"a": action("b"), "b": action("a")}}, "steps: no way leads to an end"),
        (
            changed(a={"kind": "choice", "choices": [{"when": {"x": 1}, "next": "b"}], "default": "z"},
                    b=action("c"), c=action("b", on_error={"goto": "z"})),
            "steps.b: is in a cycle with no exit: b → c → b. Lead out of it by a choice.",
        ),
        (changed(a=action("z", retry=[1], on_error="fail")), "steps.a.retry: has no effect"),
        (changed(a=action("z", max_setbacks=1, on_error="suspend")), "steps.a.max_setbacks: has no effect"),
        (changed(a=action("z", on_exhausted="suspend")), "steps.a.on_exhausted: has no effect"),
        (changed(a=action("z", on_error="retyr")), "steps.a.on_error: must be one of retry, suspend, fail, or"),
        (changed(a=action("z", on_error={"goto": "zz"})), 'steps.a.on_error.goto: "zz" is not a step of this chain'),
        (changed(a=action("z", on_error={"goto": 5})), "steps.a.on_error.goto: must be the name of a step"),
        (changed(a=action("z", max_orders=0)), "steps.a.max_orders: must be a whole number from 1 to 1,000,000. To"),
        (changed(a=action("z", max_visits=0)), "steps.a.max_visits: must be a whole number from 1 to 10,000"),
        (changed(a=action("z", locks=["l", "l"])), "steps.a.locks: names something twice"),
        (changed(a=action("z", results=["a.b"])), "steps.a.results: must be a name without dots"),
        (changed(a=action("z", results={"a": "b"})), "steps.a.results.a: must be a JSON pointer such as"),
        (changed(a=action("z", results={"a": "/b~2"})), "steps.a.results.a: must be a JSON pointer such as"),
        (changed(a=action("z", results=5)), "steps.a.results: must be a list of keys, or an object"),
        (changed(a=action("z", results={"a": "/" + "b" * 1000})), "steps.a.results.a: must be a JSON pointer"),
        (changed(a=action("z", delay=-1)), "steps.a.delay: must be from 0 s to 366 d"),
        (changed(a={"kind": "wait", "next": "z"}), "steps.a: says no time. Give one of duration, until and cron."),
        (changed(a={"kind": "wait", "next": "z", "duration": 1, "cron": "* * * * *"}), "steps.a: has duration and"),
        (changed(a={"kind": "wait", "next": "z", "duration": 0}), "steps.a.duration: must be from 1 ms"),
        (changed(a={"kind": "wait", "next": "z", "until": "tomorrow"}), "steps.a.until: must be an instant"),
        (changed(a={"kind": "wait", "next": "z", "cron": "61 * * * *"}), "steps.a.cron: "),
        (changed(a={"kind": "wait", "next": "z", "cron": "0 * * * *", "time_zone": "Europe/Berln"}),
         "steps.a.time_zone: is not a known time zone"),
        (changed(a={"kind": "wait", "next": "z", "duration": 1, "time_zone": "Europe/Berlin"}),
         "steps.a.time_zone: is for cron alone"),
        (changed(a={"kind": "choice", "choices": [], "default": "z"}), "steps.a.choices: must be a list such as"),
        (changed(a={"kind": "choice", "choices": [{"when": {"t": {"atleast": 1}}, "next": "z"}], "default": "z"}),
         "steps.a.choices.0.when.t.atleast: is not known; did you mean at_least?"),
        (changed(a={"kind": "choice", "choices": [{"when": {}, "next": "z"}], "default": "z"}),
         "steps.a.choices.0.when: must be an object such as"),
        (changed(a={"kind": "choice", "choices": [{"when": {"t": 1}, "nxt": "z"}], "default": "z"}),
         "steps.a.choices.0.nxt: is not known; did you mean next?"),
        (changed(a={"kind": "choice", "choices": [{"when": {"t": 1}, "next": "y"}], "default": "z"}),
         'steps.a.choices.0.next: "y" is not a step of this chain'),
        (changed(a={"kind": "approval", "next": "z", "default": "approve"}), "steps.a.default: has no effect without"),
        (changed(a={"kind": "signal", "next": "z", "on_deadline": {"goto": "z"}}), "steps.a.on_deadline: has no "),
        (changed(a={"kind": "chain", "next": "z"}), "steps.a.chain: is missing. Name the chain to run."),
        (changed(z={"kind": "end", "reason": "why"}), 'steps.z.reason: is for the outcome "failed"'),
        (changed(a={"kind": "map", "over": "l", "branch": "b", "join": "j", "parallel": 0}, b=action("j"), j=JOIN),
         "steps.a.parallel: must be a whole number from 1 to 10,000"),
        (changed(a={"kind": "map", "over": "l", "branch": "b", "join": "j", "parallel": 10_001}, b=action("j"), j=JOIN),
         "steps.a.parallel: must be a whole number from 1 to 10,000"),
        (changed(a={"kind": "map", "over": "..", "branch": "b", "join": "j"}, b=action("j"), j=JOIN),
         "steps.a.over: must be a variable, or keys joined by dots"),
        (changed(a={"kind": "fork", "branches": {"b": "b"}}, b=action("z")), "steps.a.join: is missing. Name the step"),
        (changed(a={"kind": "fork", "branches": {"b": "b"}, "join": "z"}, b=action("z")),
         'steps.a.join: "z" is of the kind end. Name a step of the kind join.'),
        (changed(a={"kind": "fork", "branches": {"b.c": "b"}, "join": "j"}, b=action("j"), j=JOIN),
         "steps.a.branches: must be a name without dots"),
        (changed(a=FORK, x=action("j"), y=action("j"), j={**JOIN, "mode": 3}),
         "steps.j.mode: 3 branches must succeed, but a has 2. Give a lower number."),
        (changed(a=FORK, x=action("j"), y=action("j"), j={**JOIN, "mode": "al"}), "steps.j.mode: must be all, any, or"),
        (changed(a=FORK, x=action("j"), y=action("j"), j={**JOIN, "mode": True}), "steps.j.mode: must be all, any, or"),
        (changed(a=FORK, x=action("j"), y=action("j"), j={**JOIN, "on_branch_failure": "cancel"}),
         "steps.j.on_branch_failure: must be one of fail, wait, ignore"),
        (changed(a=FORK, x=action("y"), y=action("j"), j=JOIN),
         'steps.a.branches.y: leads from branch "y" of "a" to "y", which belongs to branch "x" of "a".'),
        (changed(a=FORK, x=action("j"), y=action("b"), b=action("x"), j=JOIN),
         'steps.b.next: leads from branch "y" of "a" to "x", which belongs to branch "x" of "a".'),
        (changed(a=action("j"), f=FORK, x=action("j"), y=action("j"), j=JOIN),
         'steps.a.next: "j" is the join of "f": only its branches lead there. Go to "f".'),
        (changed(a=FORK, x=action("j"), y=action("a"), j=JOIN),
         'steps.y.next: leads from branch "y" of "a" to "a", which belongs to the chain itself.'),
        (changed(a=FORK, x=action("j"), y=action("j"), j=JOIN, b=FORK), "steps.j: is the join of a and b."),
        ({**changed(), "finally": "y"}, 'finally: "y" is not a step of this chain'),
        ({**changed(), "finally": "a"}, 'finally: leads from the finally steps to "a", which belongs to the chain'),
        ({**changed(), "on_deadline": "suspend", "deadline": 0}, "deadline: must be from 1 s"),
        ({**changed(), "deadline": 5, "on_deadline": {"goto": "y"}}, 'on_deadline.goto: "y" is '),
        ({**changed(), "on_deadline": {"goto": "a"}}, "on_deadline: has no effect without a deadline"),
        ({**changed(), "variables": {"a": "x" * 65_536}}, "variables: may be at most 65,536 bytes of JSON"),
        ({**changed(), "variables": {"a.b": 1}}, "variables.a.b: must be a name without dots"),
        ({**changed(), "variables": {"a": float("nan")}}, "variables: variables.a is nan"),
        ({**changed(), "variables": [1]}, "variables: must be an object"),
        ({**changed(), "locks": ["db"]}, "locks: must be an object such as"),
        ({**changed(), "locks": {"db": True}}, "locks.db: must be a whole number from 1"),
    ],
)  # fmt: skip
def test_definition_that_cannot_be_is_refused_with_the_place(spec: Any, problem: str) -> None:
    assert any(each.startswith(problem) or problem in each for each in problems(spec)), problems(spec)


def test_actions_are_checked_where_the_caller_knows_them() -> None:
    spec = changed(a=action("z", action={"kind": "http", "url": "ftp://x"}), b=END)

    with pytest.raises(InvalidRequest) as caught:
        parse_chain(spec, check_action=actions.parse)

    assert [each.field for each in caught.value.problems] == ["steps.a.action.url"]
    assert parse_chain(changed(), check_action=actions.parse).start == "a"


def test_steps_know_the_branch_they_belong_to() -> None:
    chain = parse_chain(EVERY_KIND)

    assert str(chain.scopes["fetch"]) == "the chain itself"
    assert str(chain.scopes["write"]) == 'branch "invoice" of "both"'
    assert str(chain.scopes["line"]) == 'the branches of "each"'
    assert str(chain.scopes["clean"]) == "the finally steps"
    assert "done" not in chain.scopes
    assert chain.forks == {"joined": "both", "all-lines": "each"}


def test_fork_can_be_within_a_branch_of_another() -> None:
    steps = {
        "a": FORK, "x": {"kind": "fork", "branches": {"i": "i", "k": "k"}, "join": "inner"}, "i": action("inner"),
        "k": action("z"), "inner": {"kind": "join", "next": "j"}, "y": action("j"), "j": JOIN, "z": END,
    }  # fmt: skip

    chain: Chain = parse_chain({"steps": steps})

    assert str(chain.scopes["i"]) == 'branch "i" of "x"'
    assert str(chain.scopes["inner"]) == 'branch "x" of "a"'


def test_cycle_with_a_choice_is_allowed() -> None:
    more = {"kind": "choice", "choices": [{"when": {"more": True}, "next": "a"}], "default": "z"}

    assert parse_chain({"steps": {"a": action("more"), "more": more, "z": END}}).start == "a"


def test_long_chain_is_checked_without_recursion() -> None:
    steps: dict[str, Any] = {f"s{n}": action(f"s{n + 1}") for n in range(999)}

    assert len(parse_chain({"steps": {**steps, "s999": END}}).steps) == 1000
