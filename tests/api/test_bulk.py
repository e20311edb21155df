"""Ten thousand timers in one call."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.api.asking import Asking, fields, problem
from timers.api import bulk
from timers.engine.cpu_budget import CpuBudget
from timers.models import Timer, TimerGroup

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("billing")]

BULK = "/groups/billing/timers/bulk"


def requests(number: int, wrong: tuple[int, ...] = ()) -> list[dict[str, Any]]:
    good = [{"kind": "once", "name": f"t{index}", "after": 3600, "payload": index} for index in range(number)]
    return [{**request, "after": -1} if index in wrong else request for index, request in enumerate(good)]


def test_three_bad_lines_of_ten_thousand_cost_only_themselves(api: Asking) -> None:
    said = api.post(BULK, requests(10_000, wrong=(3, 5000, 9999)))
    assert (said["created"], said["refused"], len(said["results"])) == (9997, 3, 10_000)
    refused = [result for result in said["results"] if result["result"] == "refused"]
    assert [result["index"] for result in refused] == [3, 5000, 9999]
    assert refused[0]["name"] == "t3" and refused[0]["errors"][0]["field"] == "after"
    assert Timer.objects.count() == 9997


def test_three_bad_lines_refuse_all_where_atomic_was_asked_for(api: Asking) -> None:
    said = problem(api("POST", f"{BULK}?atomic=true", requests(10_000, wrong=(3, 5000, 9999))), 422, "invalid")
    assert fields(said) == ["3.after", "5000.after", "9999.after"]
    assert not Timer.objects.exists()


def test_what_only_the_database_knows_to_be_wrong_costs_only_itself_too(api: Asking) -> None:
    api.post("/groups/billing/timers", requests(1)[0])
    asked = requests(6)
    asked[2]["handler"] = "no.such.handler"
    asked[4]["name"] = "t3"
    said = api.post(BULK, asked)
    assert [result["result"] for result in said["results"]] == [
        "refused", "created", "refused", "created", "refused", "created",
    ]  # fmt: skip
    assert [said["results"][index]["errors"][0]["field"] for index in (0, 2, 4)] == ["name", "handler", "name"]
    assert problem(api("POST", f"{BULK}?atomic=true", asked), 422, "invalid")
    assert Timer.objects.count() == 4


@pytest.mark.parametrize("wrong", ["handler", "quota", "twice", "taken"])
def test_what_is_wrong_with_all_of_them_is_found_by_no_more_statements_than_for_one(
    wrong: str, api: Asking, django_assert_max_num_queries: Any
) -> None:
    asked = requests(2_000)
    if wrong == "quota":
        TimerGroup.objects.update(max_timers=1)
        asked = requests(2_001)
    elif wrong == "handler":
        asked = [{**request, "handler": "no.such"} for request in asked]
    elif wrong == "twice":
        asked = [{**request, "name": "t0"} for request in requests(2_001)]
    else:
        api.post(BULK, asked)
    with django_assert_max_num_queries(20):
        said = api.post(BULK, asked)
    assert said["refused"] == 2_000
    field = {"handler": "handler", "quota": "max_timers"}.get(wrong, "name")
    assert {result["errors"][0]["field"] for result in said["results"] if result["result"] == "refused"} == {field}


def test_taken_names_are_kept_by_no_more_statements_than_one_is(
    api: Asking, django_assert_max_num_queries: Any
) -> None:
    api.post(BULK, requests(500))
    with django_assert_max_num_queries(20):
        assert api.post(f"{BULK}?on_conflict=keep", requests(500))["kept"] == 500


@pytest.mark.parametrize(("on_conflict", "word"), [("keep", "kept"), ("replace", "replaced")])
def test_taken_names_are_kept_or_replaced_as_asked(on_conflict: str, word: str, api: Asking) -> None:
    api.post(BULK, requests(3))
    said = api.post(f"{BULK}?on_conflict={on_conflict}", requests(4))
    assert [result["result"] for result in said["results"]] == [word, word, word, "created"]


def test_lines_are_answered_by_lines(api: Asking) -> None:
    lines = [json.dumps(request).encode() for request in requests(3)]
    lines[1:1] = [b"{", b'{"kind": "once", "kind": "cron"}', b"", b"5"]
    response = api("POST", BULK, b"\n".join(lines) + b"\n", Content_Type="application/x-ndjson")
    assert (response.status_code, response.headers["Content-Type"]) == (200, "application/x-ndjson")
    said = [json.loads(line) for line in response.content.splitlines()]
    assert [result["result"] for result in said] == ["created", "refused", "refused", "refused", "created", "created"]
    assert [result["index"] for result in said] == list(range(6))


def test_more_than_ten_thousand_are_refused_before_anything_is_written(api: Asking) -> None:
    problem(api("POST", BULK, requests(10_001)), 413, "too_large")
    assert not Timer.objects.exists()


@pytest.mark.parametrize("body", [{}, "x", 5, None])
def test_what_is_no_list_is_refused(body: Any, api: Asking) -> None:
    problem(api("POST", BULK, json.dumps(body).encode()), 422, "invalid")


def test_a_body_of_more_than_eight_megabytes_is_refused(api: Asking) -> None:
    problem(api("POST", BULK, b" " * (8 * 1024 * 1024 + 1)), 413, "too_large")


def test_a_call_of_nothing_does_nothing(api: Asking) -> None:
    assert api.post(BULK, [])["results"] == []


@pytest.mark.parametrize("media_type", ["application/json", "application/x-ndjson"])
def test_an_empty_body_is_refused(media_type: str, api: Asking) -> None:
    said = problem(api("POST", BULK, b" \n", Content_Type=media_type), 422, "invalid")
    assert said["errors"][0]["message"].startswith("is empty")


def test_lines_that_have_lost_their_ends_are_told_how_to_keep_them(api: Asking) -> None:
    lines = [json.dumps(request).encode() for request in requests(3)]
    response = api("POST", BULK, b"".join(lines), Content_Type="application/x-ndjson")
    (said,) = map(json.loads, response.content.splitlines())
    message = said["errors"][0]["message"]
    assert "--data-binary" in message
    assert "at line" not in message


def test_another_group_in_a_request_hides_no_other_mistake(api: Asking) -> None:
    said = api.post(BULK, [{"kind": "once", "name": "", "after": 1, "group": "other", "colour": "red"}])
    assert {error["field"] for error in said["results"][0]["errors"]} == {"group", "name", "colour"}


def test_requests_beyond_the_cpu_bound_are_refused_with_the_remedy(
    api: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "CPU_SECONDS_EACH", 0.0)
    monkeypatch.setattr(bulk, "CpuBudget", lambda seconds: CpuBudget(3.5, cpu=_Cpu()))
    said = api.post(BULK, requests(6))
    assert [result["result"] for result in said["results"]] == ["refused"] * 6
    monkeypatch.setattr(bulk, "CpuBudget", lambda seconds: CpuBudget(9.5, cpu=_Cpu()))
    said = api.post(BULK, requests(6))
    assert [result["result"] for result in said["results"]] == ["created"] * 3 + ["refused"] * 3
    assert said["results"][5]["errors"] == [
        {
            "field": "body",
            "message": "was not looked at: the requests before it used up the CPU time of one call."
            " Send it in another call.",
        }
    ]


def test_an_atomic_call_beyond_the_cpu_bound_is_refused_whole(api: Asking, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "CPU_SECONDS_EACH", 0.0)
    monkeypatch.setattr(bulk, "CpuBudget", lambda seconds: CpuBudget(2.5, cpu=_Cpu()))
    said = problem(api("POST", f"{BULK}?atomic=true", requests(6)), 422, "invalid")
    assert fields(said) == ["2.body", "3.body", "4.body", "5.body"]
    assert not Timer.objects.exists()


class _Cpu:
    """A CPU clock that advances by a second each time it is read."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1
        return self.now
