"""Timers over the API: schedule, list, read, replace, change, cancel."""

from __future__ import annotations

import json
from collections.abc import Callable
from urllib.parse import quote

import pytest

from tests import factories
from tests.api.asking import Asking, fields, problem
from timers.api.timer_body import SHARED
from timers.control.request import OPTIONS
from timers.models import Timer

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("billing")]

TIMERS = "/groups/billing/timers"
RATE = {"kind": "fixed_rate", "name": "a", "period": 60, "payload": {"b": 2**60, "a": "ü"}}


def test_a_timer_that_was_scheduled_is_told_with_the_keywords_that_it_was_given(api: Asking) -> None:
    response = api("POST", TIMERS, RATE)
    assert response.status_code == 201, response.content
    assert response.headers["Location"] == "/api/v1/groups/billing/timers/a"
    said = api.get(f"{TIMERS}/a")
    assert {word: said[word] for word in RATE} == RATE
    assert list(said["payload"]) == ["b", "a"]
    assert (said["state"], said["words"], said["group"]) == ("active", "every 1 m", "billing")
    assert 0 < said["remaining"] <= 60
    assert (said["in_flight"], said["last_result"]) == ([], None)


@pytest.mark.parametrize(
    "own",
    [
        {"kind": "once", "after": "PT30S"},
        {"kind": "fixed_delay", "delay": 5},
        {"kind": "cron", "expression": "30 2 * * *", "time_zone": "Europe/Berlin", "gap": "skip"},
        {"kind": "calendar", "hour": "*", "day_of_week": "Mon"},
        {"kind": "window", "begin": "13:00", "end": "15:00", "every": 1800, "weekdays": ["mon"]},
        {"kind": "rrule", "rule": "FREQ=MONTHLY;BYDAY=-1FR"},
    ],
)
def test_every_kind_of_schedule_can_be_asked_for(own: dict[str, object], api: Asking) -> None:
    said = api.post(TIMERS, {"name": "x", **own})
    assert said["kind"] == own["kind"]
    assert said["next_fire_at"] is not None


def test_a_change_that_names_nothing_leaves_the_version_as_it_was(api: Asking) -> None:
    api.post(TIMERS, RATE)
    before = api.get(f"{TIMERS}/a")
    response = api("PATCH", f"{TIMERS}/a", {}, If_Match='"1"')
    assert (response.status_code, response.headers["ETag"]) == (200, '"1"')
    assert api.get(f"{TIMERS}/a")["updated_at"] == before["updated_at"]


@pytest.mark.parametrize("n", ["5", None, [], {}, 0, -1, 1.5, True, 1e308, 10**9, 1001])
def test_a_preview_is_of_one_to_a_thousand_fires(n: object, api: Asking) -> None:
    asked = {"kind": "fixed_rate", "period": 60, "group": "billing"}
    said = problem(api("POST", "/schedules/preview", {**asked, "n": n}), 422, "invalid")
    assert fields(said) == ["n"]
    assert len(api.post("/schedules/preview", {**asked, "n": 1000})["fires"]) == 1000


def test_every_word_that_is_only_told_of_a_timer_is_refused_as_such(api: Asking) -> None:
    api.post(TIMERS, RATE)
    told = api.get(f"{TIMERS}/a")
    only_told = told.keys() - SHARED.keys() - {"group", "name", "kind", "period"}
    assert {"state", "version", "id", "created_at", "remaining", "in_flight", "words"} <= only_told | {"id"}
    said = problem(api("POST", TIMERS, {**RATE, "name": "b", **dict.fromkeys([*only_told, "id"])}), 422, "invalid")
    assert set(fields(said)) == only_told | {"id"}
    assert {error["message"] for error in said["errors"]} == {"is read-only; remove it"}
    said = problem(api("PATCH", f"{TIMERS}/a", dict.fromkeys(only_told - {"version"})), 422, "invalid")
    assert {error["message"] for error in said["errors"]} == {"is read-only; remove it"}


def test_the_description_knows_the_keywords_that_the_service_knows() -> None:
    assert frozenset(SHARED) == OPTIONS


def test_what_is_told_of_a_new_timer_is_what_is_read_of_it(api: Asking) -> None:
    full = {
        **RATE, "tags": ["x"], "description": "d", "jitter": 2, "priority": 3, "max_fires": 5, "until_committed": True,
        "start_at": "2099-01-01T00:00:00Z", "end_at": "2099-02-01T00:00:00Z", "time_zone": "Europe/Berlin",
        "overrides": {"retry": {"max_retries": 1}}, "handler": "timerbench.noop",
    }  # fmt: skip
    told = api.post(TIMERS, full)
    read = api.get(f"{TIMERS}/a")
    assert set(read) - set(told) == {"in_flight", "last_result"}
    del read["remaining"], told["remaining"]
    assert {word: read[word] for word in told} == told


def test_all_mistakes_are_told_at_once_and_nothing_is_written(api: Asking) -> None:
    wrong = {"kind": "fixed_rate", "name": "", "period": -1, "priority": 99}
    said = problem(api("POST", TIMERS, wrong), 422, "invalid")
    assert set(fields(said)) == {"name", "period", "priority"}
    assert api.get(TIMERS) == {"items": [], "next": None}


def test_what_is_not_known_is_refused_with_what_was_meant(api: Asking) -> None:
    said = problem(api("POST", TIMERS, {**RATE, "perriod": 1}), 422, "invalid")
    assert fields(said) == ["perriod"] and "period" in said["errors"][0]["message"]


@pytest.mark.parametrize("word", ["id", "state", "group", "version", "created_by", "next_fire_at", "fire_count"])
def test_what_is_not_the_callers_to_say_is_refused(word: str, api: Asking) -> None:
    said = problem(api("POST", TIMERS, {**RATE, word: "1"}), 422, "invalid")
    assert fields(said) == [word]
    api.post(TIMERS, RATE)
    assert fields(problem(api("PATCH", f"{TIMERS}/a", {word: "1"}), 422, "invalid")) == [word]
    assert api.get(f"{TIMERS}/a")["version"] == 1


def test_a_name_that_is_taken_is_a_conflict_unless_it_is_to_be_kept_or_replaced(api: Asking) -> None:
    api.post(TIMERS, RATE)
    assert fields(problem(api("POST", TIMERS, RATE), 409, "name_taken")) == ["name"]
    kept = api("POST", TIMERS, {**RATE, "period": 5, "on_conflict": "keep"})
    assert (kept.status_code, json.loads(kept.content)["period"]) == (200, 60)
    replaced = api("POST", TIMERS, {**RATE, "period": 5, "on_conflict": "replace"})
    assert (replaced.status_code, json.loads(replaced.content)["period"]) == (200, 5)
    assert fields(problem(api("POST", TIMERS, {**RATE, "on_conflict": "perhaps"}), 422, "invalid")) == ["on_conflict"]


def test_a_put_creates_and_then_replaces(api: Asking) -> None:
    body = {"kind": "fixed_rate", "period": 60}
    assert api("PUT", f"{TIMERS}/a", body).status_code == 201
    assert api("PUT", f"{TIMERS}/a", {**body, "period": 30}).status_code == 200
    assert api.get(f"{TIMERS}/a")["period"] == 30


def test_a_change_of_what_somebody_else_has_changed_is_refused(api: Asking) -> None:
    api.post(TIMERS, RATE)
    first = api("GET", f"{TIMERS}/a").headers["ETag"]
    changed = api("PATCH", f"{TIMERS}/a", {"description": "x"}, If_Match=first)
    assert changed.status_code == 200 and changed.headers["ETag"] != first
    for method, body in (("PATCH", {"description": "y"}), ("PUT", {"kind": "once", "after": 5}), ("DELETE", None)):
        problem(api(method, f"{TIMERS}/a", body, If_Match=first), 409, "stale_version")
    assert api.get(f"{TIMERS}/a")["description"] == "x"
    problem(api("PATCH", f"{TIMERS}/a", {}, If_Match="a"), 422, "invalid")


def test_a_change_leaves_what_it_does_not_name(api: Asking) -> None:
    api.post(TIMERS, {**RATE, "tags": ["x"]})
    api("PATCH", f"{TIMERS}/a", {"period": 5})
    said = api.get(f"{TIMERS}/a")
    assert (said["period"], said["payload"], said["tags"]) == (5, RATE["payload"], ["x"])


def test_a_timer_that_is_deleted_is_cancelled_for_good(api: Asking) -> None:
    api.post(TIMERS, RATE)
    response = api("DELETE", f"{TIMERS}/a?reason=moved")
    said = json.loads(response.content)
    assert (said["timer"]["state"], said["timer"]["state_reason"], said["in_flight"]) == ("cancelled", "moved", [])
    problem(api("DELETE", f"{TIMERS}/a"), 409, "not_allowed_now")


def test_what_is_not_there_is_not_found(api: Asking) -> None:
    for method, path, body in (
        ("GET", f"{TIMERS}/none", None),
        ("PATCH", f"{TIMERS}/none", {"period": 5}),
        ("DELETE", f"{TIMERS}/none", None),
        ("POST", "/groups/none/timers", RATE),
        ("PUT", "/groups/none/timers/a", {"kind": "once", "after": 5}),
        ("POST", "/groups/none/timers/bulk", [RATE]),
        ("GET", "/groups/none/timers", None),
        ("GET", "/nothing/here", None),
    ):
        problem(api(method, path, body), 404, "not_found")


@pytest.mark.parametrize("name", ["a/b", "a/pause", "bulk", "ü ö", "50%", "a?b#c", "..%2F", "x%252Fy"])
def test_any_name_can_stand_in_an_address(name: str, api: Asking) -> None:
    api.post(TIMERS, {**RATE, "name": name})
    path = f"{TIMERS}/{quote(name, safe='')}"
    said = json.loads(api("GET", path, raw=f"/api/v1{path}").content)
    assert said["name"] == name
    assert Timer.objects.get().name == name


def test_pages_of_a_list_hold_each_timer_once(api: Asking) -> None:
    api.post(f"{TIMERS}/bulk", [{**RATE, "name": f"t{number:03}"} for number in range(25)])
    seen, cursor = [], None
    while True:
        page = api.get(f"{TIMERS}?limit=10" + (f"&cursor={cursor}" if cursor else ""))
        seen += [timer["name"] for timer in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert seen == [f"t{number:03}" for number in range(25)]


def test_a_cursor_is_good_for_its_list_its_filters_and_its_caller_only(
    api: Asking, new_key: Callable[..., str]
) -> None:
    api.post(f"{TIMERS}/bulk", [{**RATE, "name": f"t{number}"} for number in range(3)])
    cursor = api.get(f"{TIMERS}?limit=1")["next"]
    assert api("GET", f"{TIMERS}?limit=2&cursor={cursor}").status_code == 200
    for path in (f"{TIMERS}?kind=once&cursor={cursor}", f"/groups?cursor={cursor}", f"{TIMERS}?cursor=x{cursor}",
                 f"{TIMERS}?cursor=x", f"{TIMERS}?cursor=.", f"{TIMERS}?cursor="):  # fmt: skip
        problem(api("GET", path), 400, "bad_cursor")
    problem(Asking(new_key("read"))("GET", f"{TIMERS}?cursor={cursor}"), 400, "bad_cursor")


def test_lists_are_filtered(api: Asking) -> None:
    api.post(f"{TIMERS}/bulk", [
        {"kind": "fixed_rate", "name": "alpha", "period": 60, "tags": ["red"], "payload": "text"},
        {"kind": "cron", "name": "beta", "expression": "0 0 1 1 *", "payload": {"a": 1}},
        {"kind": "once", "name": "gamma", "at": "2099-01-01T00:00:00Z", "payload": [1]},
    ])  # fmt: skip
    api.post(f"{TIMERS}/alpha/pause")

    def names(query: str) -> list[str]:
        return [timer["name"] for timer in api.get(f"{TIMERS}?{query}")["items"]]

    assert names("name_contains=et") == ["beta"]
    assert names("kind=cron") == ["beta"]
    assert names("state=paused") == ["alpha"]
    assert names("tag=red") == ["alpha"]
    assert names("payload_type=array") == ["gamma"]
    assert names("next_fire_after=2098-12-31T23:59:00%2B00:00") == ["gamma"]
    assert names("next_fire_before=2098-12-31T23:59:00Z") == ["alpha", "beta"]
    assert names("kind=cron&tag=red") == []


@pytest.mark.parametrize(
    "query",
    [
        "limit=0", "limit=201", "limit=x", "limit=1e30", "kind=x", "state=%00", "tag=%00", "ordering=password",
        "next_fire_before=yesterday", "next_fire_before=2026-01-01T00:00:00", "limit=1&limit=2", "payload_type=blob",
        "next_fire_after=12345", "name_contains=%ed%a0%80%00",
    ],
)  # fmt: skip
def test_a_query_that_makes_no_sense_names_the_parameter(query: str, api: Asking) -> None:
    said = problem(api("GET", f"{TIMERS}?{query}"), 422, "invalid")
    assert said["errors"][0]["field"] == query.partition("=")[0]


def test_a_key_for_other_groups_is_told_the_same_as_if_nothing_were_there(
    api: Asking, new_key: Callable[..., str]
) -> None:
    api.post(TIMERS, RATE)
    api.post("/groups", {"name": "mine", "action": {"handler": "timerbench.noop"}})
    other = Asking(new_key("read", "schedule", groups=["mine"]))
    hidden = problem(other("GET", f"{TIMERS}/a"), 404, "not_found")
    missing = problem(other("GET", "/groups/none/timers/a"), 404, "not_found")
    missing["detail"] = missing["detail"].replace("'none'", "'billing'")
    assert {**hidden, "request_id": ""} == {**missing, "request_id": ""}
    assert [group["name"] for group in other.get("/groups")["items"]] == ["mine"]


@pytest.mark.parametrize("paused", ["group", "partition", "cluster"])
def test_a_timer_that_a_pause_holds_up_says_so_and_shows_no_next_fire_in_the_past(api: Asking, paused: str) -> None:
    group = factories.group("orders")
    factories.timer("late", in_group=group, due_in=-60)
    factories.timer("later", in_group=group, due_in=60)
    factories.timer("over", in_group=group, state="cancelled", next_fire_at=None)
    paths = {"group": "/groups/orders", "partition": "/partitions/default", "cluster": "/cluster"}
    api.post(f"{paths[paused]}/pause", {"reason": "the move"})
    listed = {each["name"]: each for each in api.get("/groups/orders/timers")["items"]}
    for name in ("late", "later"):
        for told in (listed[name], api.get(f"/groups/orders/timers/{name}")):
            assert (told["state"], told["effective_state"]) == ("active", "paused")
            assert f"{paused} " in told["state_reason"] and told["state_reason"].endswith("is paused: the move")
            assert (told["next_fire_at"] is None, told["remaining"] is None, told["due_since"] is None) == (
                (True, True, False) if name == "late" else (False, False, True)
            )
    assert (listed["over"]["effective_state"], listed["over"]["state_reason"]) == ("cancelled", "")


def test_a_timer_that_nothing_holds_up_shows_its_next_fire(api: Asking) -> None:
    factories.timer("t", in_group=factories.group("orders"), due_in=-1)
    told = api.get("/groups/orders/timers/t")
    assert (told["effective_state"], told["state_reason"], told["due_since"]) == ("active", "", None)
    assert told["next_fire_at"] is not None


@pytest.mark.parametrize("of", ["group", "timer"])
def test_timer_whose_handler_no_living_node_knows_is_said_to_wait(api: Asking, of: str) -> None:
    coming = {"handler": "tests.coming"}
    group = factories.group("orders", **({"action": coming} if of == "group" else {}))
    factories.timer("t", in_group=group, due_in=-60, action=coming if of == "timer" else None)
    factories.node(handlers=["tests.noop"])
    for told in (api.get("/groups/orders/timers/t"), api.get("/groups/orders/timers")["items"][0]):
        assert (told["state"], told["effective_state"]) == ("active", "waiting")
        assert told["state_reason"] == "no living node knows its handler tests.coming; it fires when one does"
        assert told["next_fire_at"] is None and told["due_since"] is not None
    factories.node(handlers=["tests.coming"])
    assert api.get("/groups/orders/timers/t")["effective_state"] == "active"
