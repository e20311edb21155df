from __future__ import annotations

import asyncio
import base64
import json
from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks import Webhook

from tests.support.targets import Answer, Received, Town, hang, plain, raw
from tests.worker.calling import Caller, exchange
from timers.actions.signing import new_signing_secret


def test_the_envelope_is_posted_and_the_exchange_is_kept(here: Town, caller: Caller) -> None:
    target = here.target(plain("201 Created", b'{"seen":1}', Content_Type="application/json"))

    outcome = caller.call(target.url, payload={"z": 1, "a": 12345678901234567890})

    assert (outcome.word, outcome.error_title, outcome.reason) == ("succeeded", None, None)
    (request,) = target.requests
    envelope = json.loads(request.body)
    assert (request.method, request.path, request.header("Content-Type")) == ("POST", "/hook", "application/json")
    assert request.header("Content-Length") == str(len(request.body))
    assert list(envelope)[:6] == ["Group", "Name", "NumberOfTry", "FireTime", "ScheduledFireTime", "Payload"]
    assert list(envelope["Payload"].items()) == [("z", 1), ("a", 12345678901234567890)]
    kept = exchange(outcome)
    assert kept["request"]["body"] == request.body.decode()
    assert kept["response"] == {
        "status": 201, "phrase": "Created", "body": '{"seen":1}',
        "headers": {"Content-Length": "10", "Content-Type": "application/json"},
    }  # fmt: skip
    assert kept["address"] == "127.0.0.1"
    assert set(kept["timing_ms"]) == {"dns", "connect", "first_byte", "total"}


def test_every_option_of_the_call_reaches_the_target(here: Town, caller: Caller) -> None:
    caller.keep("p", "hünter2")
    target = here.target(plain("404 Not Found"))

    outcome = caller.call(
        target.url + "?q=%7B1%7D", method="PUT", headers={"Accept": "text/plain", "X-Own": "a\tb"}, payload={"id": 7},
        content={"order": "{{Payload.id}}", "try": "no {{NumberOfTry}}"}, attempt=3,
        auth={"kind": "basic", "username": "me", "secret": "p"}, success_codes=["400-404"], keep_response=False,
    )  # fmt: skip

    assert outcome.word == "succeeded"
    (request,) = target.requests
    assert (request.method, request.path) == ("PUT", "/hook?q=%7B1%7D")
    assert json.loads(request.body) == {"order": 7, "try": "no 3"}
    assert (request.header("Accept"), request.header("X-Own")) == ("text/plain", "a\tb")
    assert request.header("Authorization") == "Basic " + base64.b64encode("me:hünter2".encode()).decode()
    assert request.header("Cookie") is None
    assert request.header("Accept-Encoding") == "identity"
    assert exchange(outcome)["response"] == {"status": 404, "phrase": "Not Found"}
    assert "ünter2" not in str(outcome.exchange)
    assert exchange(outcome)["request"]["headers"]["Authorization"] == "Basic (not kept)"


@pytest.mark.parametrize(("method", "length"), [("GET", None), ("HEAD", None), ("DELETE", None), ("PATCH", True)])
def test_methods_without_a_body_send_none(here: Town, caller: Caller, method: str, length: object) -> None:
    target = here.target(plain())

    assert caller.call(target.url, method=method).word == "succeeded"
    assert caller.call(target.url, method=method).word == "succeeded"

    assert [(request.method, bool(request.body)) for request in target.requests] == [(method, bool(length))] * 2
    assert target.connections == 1


@pytest.mark.parametrize(
    ("auth", "name", "value"),
    [
        ({"kind": "bearer", "secret": "s"}, "Authorization", "Bearer t0ken"),
        ({"kind": "header", "header": "appKey", "secret": "s"}, "appKey", "t0ken"),
    ],
)
def test_a_token_goes_into_its_header_and_nowhere_else(
    here: Town, caller: Caller, auth: dict[str, str], name: str, value: str
) -> None:
    caller.keep("s", "t0ken")
    target = here.target(plain())

    outcome = caller.call(target.url, auth=auth)

    assert target.requests[0].header(name) == value
    assert "t0ken" not in str(outcome.exchange)


def test_a_secret_that_the_target_repeats_is_not_kept(here: Town, caller: Caller) -> None:
    caller.keep("s", "t0ken")

    async def echo(request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        said = str(request.header("Authorization"))
        await plain("401 Nope", f"you said {said}".encode(), X_Echo=said)(request, reader, writer)

    target = here.target(echo)
    for auth in ({"kind": "bearer", "secret": "s"}, {"kind": "basic", "username": "me", "secret": "s"}):
        text = str(caller.call(target.url, auth=auth).exchange)

        assert "you said" in text
        assert "t0ken" not in text
        assert base64.b64encode(b"me:t0ken").decode() not in text


@pytest.mark.parametrize("rest", [raw(b"ab", close=True), raw(b"a", pause=0.05, forever=True)])
def test_a_refusal_counts_though_its_body_does_not_come(here: Town, caller: Caller, rest: Answer) -> None:
    async def refuse(request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 429 Later\r\nRetry-After: 60\r\nContent-Length: 900\r\n\r\n")
        await rest(request, reader, writer)

    outcome = caller.call(here.target(refuse).url)

    assert str(outcome.error_title).startswith("429 Later")
    assert outcome.wait is not None
    assert 60 <= outcome.wait <= 66


def test_a_secret_is_read_once_for_many_calls(here: Town, caller: Caller) -> None:
    caller.keep("s", "t0ken")
    target = here.target(plain())

    caller.submit(target.url, number=30, auth={"kind": "bearer", "secret": "s"})

    assert {outcome.word for outcome in caller.ended(30)} == {"succeeded"}
    assert caller.asked_for_secrets == 1


@pytest.mark.parametrize(
    ("kept", "says"),
    [
        ({}, "there is no secret 's'"),
        ({"kind": "signing", "value": "x"}, "of the kind signing"),
        ({"value": "x", "groups": ("other",)}, "not for group"),
        ({"value": "x", "hosts": ("example.org",)}, "not for host"),
        ({"value": "ünsendable"}, "cannot go into a header"),
    ],
)
def test_a_secret_that_cannot_be_used_ends_the_try_before_the_call(
    here: Town, caller: Caller, kept: dict[str, str], says: str
) -> None:
    target = here.target(plain())
    if kept:
        caller.keep("s", **kept)

    outcome = caller.call(target.url, auth={"kind": "bearer", "secret": "s"})

    assert outcome.word == "error"
    assert says in str(outcome.error_title)
    assert not outcome.permanent
    assert target.connections == 0


def test_signed_calls_verify_with_the_official_package_also_while_keys_change(here: Town, caller: Caller) -> None:
    old, new = new_signing_secret(), new_signing_secret()
    caller.keep("k", new, "signing", previous=old, previous_until=datetime.now(UTC) + timedelta(hours=1))
    target = here.target(plain())

    outcome = caller.call(target.url, sign="k", payload="grüße", attempt=2)

    (request,) = target.requests
    sent = dict(request.headers)
    for secret in (old, new):
        assert Webhook(secret).verify(request.body, sent)["Payload"] == "grüße"
    assert sent["webhook-id"] == outcome.execution.id
    assert (sent["timer-fence"], sent["timer-attempt"]) == ("1", "2")


def test_an_unsigned_call_has_the_same_ids(here: Town, caller: Caller) -> None:
    target = here.target(plain())

    outcome = caller.call(target.url)

    assert target.requests[0].header("webhook-id") == outcome.execution.id
    assert target.requests[0].header("webhook-signature") is None


def test_cookies_are_neither_kept_nor_sent(here: Town, caller: Caller) -> None:
    target = here.target(plain(Set_Cookie="route=1; Path=/"))

    outcomes = [caller.call(target.url) for _ in range(3)]

    assert [request.header("Cookie") for request in target.requests] == [None] * 3
    assert "route=1" not in str(outcomes[0].exchange)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(here: Town, caller: Caller, status: int) -> None:
    elsewhere = here.target(plain())
    target = here.target(plain(f"{status} Moved", Location=elsewhere.url))

    outcome = caller.call(target.url)

    assert outcome.error_title == f"{status} Moved from 127.0.0.1:{target.port}; redirects are not followed"
    assert (len(target.requests), elsewhere.connections) == (1, 0)


def test_a_code_that_is_no_success_is_an_error_grouped_by_target_and_code(here: Town, caller: Caller) -> None:
    target = here.target(plain("503 Service Unavailable", b"<script>alert(1)</script>"))

    first, second = caller.call(target.url), caller.call(target.url + "?other")

    assert (first.word, first.permanent, first.wait) == ("error", False, None)
    assert first.error_title == f"503 Service Unavailable from 127.0.0.1:{target.port}"
    assert first.error_fingerprint == second.error_fingerprint
    assert exchange(first)["response"]["body"] == "<script>alert(1)</script>"


@pytest.mark.parametrize(
    ("given", "low", "high"),
    [
        ("7", 7, 7.7),
        ("0", 1, 1.1),
        ("-1", 1, 1.1),
        ("1e9", 3600, 3600),
        ("99999999999999999999", 3600, 3600),
        ("inf", 3600, 3600),
        ("Wed, 21 Oct 2026 07:28:30 GMT", 30, 33),
        ("Wed, 21 Oct 2020 07:28:00 GMT", 1, 1.1),
        ("Wed, 21 Oct 9999 07:28:00 GMT", 3600, 3600),
        ("nan", None, None),
        ("soon", None, None),
        ("", None, None),
        ("9" * 4000, 3600, 3600),
    ],
)
def test_retry_after_is_honoured_from_a_second_to_an_hour(
    here: Town, caller: Caller, given: str, low: float | None, high: float
) -> None:
    target = here.target(plain("429 Too Many Requests", Retry_After=given, Date="Wed, 21 Oct 2026 07:28:00 GMT"))

    wait = caller.call(target.url).wait

    assert wait is None if low is None else wait is not None and low <= wait <= high


def test_gone_fails_for_good_and_pauses_the_timer(here: Town, caller: Caller) -> None:
    target = here.target(plain("410 Gone", Retry_After="5"))

    outcome = caller.call(target.url)

    assert (outcome.permanent, outcome.wait) == (True, None)
    assert outcome.pauses == f"127.0.0.1:{target.port} says that it is gone (410)"


def test_a_content_that_the_payload_does_not_fill_fails_for_good(here: Town, caller: Caller) -> None:
    target = here.target(plain())

    outcome = caller.call(target.url, content="{{Payload.order}}", payload={"other": 1})

    assert outcome.permanent
    assert outcome.error_title == "not called: the payload has no order, to which the content refers"
    assert target.connections == 0


def test_a_slow_target_fills_its_lane_and_slows_no_other(here: Town, caller: Caller) -> None:
    slow, good = here.target(hang), here.target(plain())

    caller.submit(slow.url, number=200, timeout=30)
    caller.submit(good.url, number=100)

    assert {outcome.word for outcome in caller.ended(100)} == {"succeeded"}
    assert slow.connections <= 20
    waiting = caller.loop.take()
    assert len(waiting) == 180
