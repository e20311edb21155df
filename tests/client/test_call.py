"""Calls as they go over the wire, and what their answers mean; nothing is sent."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from timers_client import Invalid, NotFound, TimersError, Unavailable, calls
from timers_client.call import Patience, Service, answered, encoded
from timers_client.errors import ApiError, ConnectionFailed, RateLimited, error_of, retry_after

SERVICE = Service("https://timers.example.org", "tk_x")


def test_names_are_one_segment_whatever_they_hold() -> None:
    request = SERVICE.request(calls.get_timer("a/b", "ü %2F?#"))
    assert request.url == "https://timers.example.org/api/v1/groups/a%2Fb/timers/%C3%BC%20%252F%3F%23"
    assert request.headers["Authorization"] == "Bearer tk_x"


@pytest.mark.parametrize("name", [".", "..", "a/../b", "./a", "a/."])
def test_a_name_that_would_be_taken_out_of_an_address_is_refused_before_it_is_sent(name: str) -> None:
    for call in (
        calls.pause_timer("g", name), calls.delete_group(name), calls.delete_subscription("g", name),
        calls.ask("POST", f"/groups/g/timers/{name}/pause"), calls.ask("GET", "/groups/%2e%2E?limit=1"),
    ):  # fmt: skip
        with pytest.raises(Invalid, match="no address can hold it") as refused:
            SERVICE.request(call)
        assert [problem.field for problem in refused.value.errors] == ["name"]
    dotted = SERVICE.request(calls.pause_timer("...", ".a../..b")).url
    assert dotted == "https://timers.example.org/api/v1/groups/.../timers/.a..%2F..b/pause"


def test_instants_and_durations_are_written_as_the_service_reads_them() -> None:
    call = calls.schedule_once("g", "n", at=datetime(2027, 1, 2, tzinfo=UTC), jitter=timedelta(seconds=1.5))
    assert json.loads(call.body or b"") == {
        "kind": "once", "name": "n", "at": "2027-01-02T00:00:00+00:00", "jitter": 1.5,
    }  # fmt: skip
    with pytest.raises(TypeError, match="time zone"):
        calls.schedule_once("g", "n", at=datetime(2027, 1, 2))
    with pytest.raises(ValueError, match="JSON"):
        encoded(float("nan"))


def test_every_write_has_a_key_by_which_its_repeat_is_known() -> None:
    first, second = SERVICE.request(calls.resume_timer("g", "n")), SERVICE.request(calls.resume_timer("g", "n"))
    assert first.headers["Idempotency-Key"] != second.headers["Idempotency-Key"]
    assert "Idempotency-Key" not in SERVICE.request(calls.get_timer("g", "n")).headers


def test_the_address_and_the_key_come_from_the_environment_where_they_are_not_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TIMER_SERVICE_URL", "http://localhost:8000/api/v1/")
    monkeypatch.setenv("TIMER_SERVICE_KEY", "tk_env")
    assert Service.of(None, None) == Service("http://localhost:8000", "tk_env")
    monkeypatch.delenv("TIMER_SERVICE_KEY")
    with pytest.raises(TimersError, match="TIMER_SERVICE_KEY"):
        Service.of(None, None)
    monkeypatch.setenv("TIMER_SERVICE_URL", "")
    with pytest.raises(TimersError, match="TIMER_SERVICE_URL"):
        Service.of(None, "tk_x")
    assert "tk_x" not in repr(SERVICE)


@pytest.mark.parametrize(
    ("url", "key", "said"),
    [
        ("localhost:8000", "tk_x", "http:// or https:// is missing before the service's address localhost:8000"),
        ("timers.example.org", "tk_x", "http:// or https:// is missing"),
        ("ftp://timers.example.org", "tk_x", "is no address of a service"),
        ("https://", "tk_x", "is no address of a service"),
        ("", "tk_x", "the service's address that was given is empty"),
        ("https://timers.example.org", "", "the application key that was given is empty"),
    ],
)
def test_an_address_or_a_key_that_cannot_be_is_refused_whatever_the_environment_has(
    url: str, key: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIMER_SERVICE_URL", "http://localhost:8000")
    monkeypatch.setenv("TIMER_SERVICE_KEY", "tk_env")
    with pytest.raises(TimersError, match=said):
        Service.of(url, key)


def test_a_refusal_says_what_was_wrong_with_each_field() -> None:
    body = {
        "code": "invalid",
        "detail": "period: x",
        "request_id": "r",
        "errors": [{"field": "period", "message": "x"}],
    }
    error = error_of(422, json.dumps(body).encode(), {})
    assert isinstance(error, Invalid)
    assert (error.status, error.request_id, error.errors[0].field) == (422, "r", "period")
    assert isinstance(error_of(404, b"<html>", {}), NotFound)
    assert isinstance(error_of(503, b"", {"retry-after": "7"}), Unavailable)
    assert error_of(503, b"", {"retry-after": "7"}).retry_after == 7
    assert type(error_of(418, b"[]", {})) is ApiError


def test_an_answer_that_is_none_of_the_services_is_an_error_of_the_client() -> None:
    with pytest.raises(TimersError, match="unexpected response"):
        answered(calls.get_timer("g", "n"), 200, b"<html>", {})
    for body in (b"", b"[]", b"[1]", b'"x"', b"{}", b"[" * 100_000, b"\xff"):
        for call in (calls.get_timer("g", "n"), calls.get_timers("g"), calls.failures(), calls.claim("g", "c")):
            with pytest.raises(TimersError):
                answered(call, 200, body, {})
        assert type(error_of(422, body, {})) is ApiError
    assert error_of(422, b'{"code": "invalid", "errors": 5}', {}).errors == ()


def test_retry_after_is_read_as_seconds_or_as_an_instant() -> None:
    in_a_minute = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    after = [retry_after({"Retry-After": text}) for text in ("7", in_a_minute, "soon", "", "-1")]
    assert after[0] == 7
    assert after[1] is not None and 50 < after[1] <= 60
    assert after[2:] == [None, None, None]


def test_a_key_with_signs_that_no_header_can_hold_is_refused_without_being_shown() -> None:
    with pytest.raises(TimersError) as refused:
        Service.of("https://timers.example.org", "tk_secret\r\nX-Evil: 1")
    assert "secret" not in str(refused.value)


def test_what_passes_is_tried_again_with_growing_pauses_up_to_the_deadline() -> None:
    patience = Patience(until=100, is_repeatable=True)
    pauses = [patience.pause(0, ConnectionFailed("x")) for _ in range(12)]
    assert all(pause is not None and 0 <= pause <= 10 for pause in pauses)
    for seconds in (5, 50):
        waited = patience.pause(0, RateLimited(429, {}, retry_after=seconds))
        assert waited is not None and waited >= seconds
    assert patience.pause(99.999, RateLimited(429, {}, retry_after=5)) is None
    assert Patience(100, is_repeatable=True).pause(0, NotFound(404, {})) is None


def test_what_is_not_repeatable_is_repeated_only_when_it_was_surely_not_done() -> None:
    assert Patience(100, is_repeatable=False).pause(0, ConnectionFailed("x")) is None
    assert Patience(100, is_repeatable=False).pause(0, RateLimited(429, {})) is not None


def test_many_requests_are_sent_in_as_few_calls_as_they_fit_into() -> None:
    requests = [{"kind": "once", "name": f"t{number}", "after": 1} for number in range(25_000)]
    sizes = [len((call.body or b"").splitlines()) for call in calls.bulks("g", requests)]
    assert sizes == [10_000, 10_000, 5_000]
    big = [{"kind": "once", "name": f"t{number}", "after": 1, "payload": "x" * 60_000} for number in range(200)]
    assert max(len(call.body or b"") for call in calls.bulks("g", big)) < 8 * 1024 * 1024
    assert list(calls.bulks("g", [])) == []
