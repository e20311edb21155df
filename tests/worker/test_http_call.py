from __future__ import annotations

import base64
import json
import socket
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from standardwebhooks import Webhook

from tests.support.certificates import Authority
from tests.support.targets import Town, hang, plain, raw, reset, town
from tests.worker.calling import THIS_HOST, Caller, exchange
from timers.actions.signing import new_signing_secret
from timers.setting_forms import proxy


@pytest.fixture
def here() -> Iterator[Town]:
    with town() as made:
        yield made


@pytest.fixture
def caller() -> Iterator[Caller]:
    made = Caller()
    yield made
    made.loop.stop()


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


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
    assert exchange(outcome)["request"]["headers"]["Authorization"] == "(not kept)"


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
    assert outcome.pauses == f"paused itself: 127.0.0.1:{target.port} says that it is gone (410)"


ENDLESS = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n"


@pytest.mark.parametrize(
    ("answer", "word", "says"),
    [
        (hang, "timeout", "limit of 0.4 s"),
        (raw(b"HTTP/1.1 200 OK\r\nX: ", b"a", pause=0.05, forever=True), "timeout", "limit of 0.4 s"),
        (raw(ENDLESS, b"x", pause=0.05, forever=True), "timeout", "limit of 0.4 s"),
        (raw(b"HTTP/1.1 100 Continue\r\n\r\n", forever=True), "timeout", "limit of 0.4 s"),
        (raw(ENDLESS, b"x" * 65_536, forever=True), "succeeded", ""),
        (raw(b"HTTP/1.1 200 OK\r\n", *[b"X: " + b"a" * 1000 + b"\r\n"] * 1000, b"\r\n"), "error", "is not HTTP"),
        (raw(b"HTTP/1.1 200 OK\r\nX: " + b"a" * 1_000_000 + b"\r\n\r\n"), "error", "is not HTTP"),
        (raw(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab"), "error", "broke off"),
        (raw(b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nab"), "error", "is not HTTP"),
        (raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), "error", "is not HTTP"),
        (raw(b"SSH-2.0-OpenSSH_9.2\r\n"), "error", "is not HTTP"),
        (raw(b"\x00" * 100), "error", "is not HTTP"),
        (raw(b""), "error", "closed the connection"),
        (reset, "error", "closed the connection"),
    ],
)  # fmt: skip
def test_a_target_that_answers_rubbish_costs_its_own_try_only(
    here: Town, caller: Caller, answer: Callable[..., object], word: str, says: str
) -> None:
    target = here.target(answer)  # type: ignore[arg-type]
    good = here.target(plain())

    outcome = caller.call(target.url, timeout=0.4)

    assert outcome.word == word
    assert says in str(outcome.error_title)
    assert outcome.started_us is not None
    assert outcome.finished_us - outcome.started_us < 2_000_000
    assert len(str(outcome.exchange)) < 64 * 1024
    assert caller.call(good.url).word == "succeeded"


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br"])
def test_a_bomb_is_opened_only_as_far_as_is_kept(here: Town, caller: Caller, encoding: str) -> None:
    packer = zlib.compressobj(9, wbits=31 if encoding == "gzip" else 15)
    bomb = packer.compress(b"\0" * 50_000_000) + packer.flush()
    target = here.target(plain("200 OK", bomb, Content_Encoding=encoding))

    outcome = caller.call(target.url)

    kept = exchange(outcome)["response"]
    assert outcome.word == "succeeded"
    assert kept["cut"] is True
    assert len(kept["body"]) <= 4 * 8192


def test_what_a_target_says_is_kept_as_text_that_can_be_stored(here: Town, caller: Caller) -> None:
    target = here.target(plain("200 \xffK", b"\x00\xff\xed\xa0\x80" + "ü".encode(), X_Odd="\xff\xfe"))

    text = caller.call(target.url).exchange

    assert text is not None
    assert "\\u0000" not in text
    text.encode()


def test_a_limit_that_passes_tells_how_far_the_call_came(here: Town, caller: Caller) -> None:
    target = here.target(raw(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", b"x", pause=5))

    outcome = caller.call(target.url, timeout=0.2)

    assert outcome.word == "timeout"
    assert exchange(outcome)["response"]["status"] == 200
    assert exchange(outcome)["timing_ms"]["total"] >= 200


def test_a_refused_connection_and_an_unknown_name_are_told_apart(caller: Caller) -> None:
    assert "no connection to" in str(caller.call(f"http://127.0.0.1:{unused_port()}/").error_title)
    assert "does not resolve" in str(caller.call("http://no-such-host.invalid/").error_title)


def test_a_kept_connection_that_the_target_has_closed_costs_no_try(here: Town, caller: Caller) -> None:
    async def once(request, reader, writer) -> None:  # type: ignore[no-untyped-def]
        await plain()(request, reader, writer)
        await writer.drain()
        # Says that it stays, and goes: the worker finds out only with the next request.
        writer.transport.set_write_buffer_limits(0)
        if len(target.requests) == 1:
            await reader.readexactly(1)
            writer.transport.abort()

    target = here.target(once)

    assert caller.call(target.url).word == "succeeded"
    assert caller.call(target.url).word == "succeeded"
    assert target.connections == 2


def test_certificates_are_checked_against_the_name(
    here: Town, caller: Caller, authority: Authority, tmp_path: Path
) -> None:
    good = here.target(plain(), tls=authority.server_context(tmp_path, "127.0.0.1"))
    other = here.target(plain(), tls=authority.server_context(tmp_path, "other.example"))
    expired = here.target(plain(), tls=authority.server_context(tmp_path, "127.0.0.1", expired=True))

    seen = caller.call(good.url, ca_bundle=authority.pem)
    assert seen.word == "succeeded"
    assert exchange(seen)["timing_ms"]["tls"] > 0
    for target, spec, says in (
        (good, {}, "unable to get local issuer certificate"),
        (good, {"ca_bundle": Authority("x").pem}, "local issuer"),
        (other, {"ca_bundle": authority.pem}, "IP address mismatch"),
        (expired, {"ca_bundle": authority.pem}, "certificate has expired"),
    ):
        outcome = caller.call(target.url, **spec)
        assert says in str(outcome.error_title)
        assert not target.requests or target is good
    assert caller.call(other.url, ignore_tls_errors=True).word == "succeeded"
    assert caller.call(expired.url, ignore_tls_errors=True).word == "succeeded"


def test_certificates_may_be_kept_under_a_name(
    here: Town, caller: Caller, authority: Authority, tmp_path: Path
) -> None:
    target = here.target(plain(), tls=authority.server_context(tmp_path, "127.0.0.1"))
    caller.keep("in-house", authority.pem, "certificates")

    assert caller.call(target.url, ca_bundle="in-house").word == "succeeded"


def test_tls_where_there_is_none_is_told(here: Town, caller: Caller) -> None:
    target = here.blunt(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    outcome = caller.call(target.url.replace("http:", "https:"))

    assert outcome.error_title == f"no TLS with 127.0.0.1:{target.port}: WRONG_VERSION_NUMBER"


def test_a_call_goes_through_its_proxy(here: Town, caller: Caller, authority: Authority, tmp_path: Path) -> None:
    plainly = here.target(plain())
    secure = here.target(plain(), tls=authority.server_context(tmp_path, "127.0.0.1"))
    through = here.proxy()
    by = {"scheme": "http", "host": "127.0.0.1", "port": through.port}

    one = caller.call(plainly.url, proxy=by)
    two = caller.call(secure.url, proxy=by, ca_bundle=authority.pem)

    assert [one.word, two.word] == ["succeeded", "succeeded"]
    assert [request.method for request in through.requests] == ["POST", "CONNECT"]
    assert exchange(one)["request"]["proxy"] == f"http://127.0.0.1:{through.port}/"
    assert secure.requests[0].header("webhook-id")
    assert "webhook-id" not in str(through.requests[1].headers)


def test_a_proxy_that_refuses_is_told(here: Town, caller: Caller) -> None:
    through = here.target(plain("403 Forbidden"))

    outcome = caller.call("https://127.0.0.1:1/", proxy={"scheme": "http", "host": "127.0.0.1", "port": through.port})

    assert "the proxy did not connect to 127.0.0.1:1" in str(outcome.error_title)


def test_the_installations_proxy_carries_every_call_and_needs_no_opening(here: Town) -> None:
    target, through = here.target(plain()), here.proxy()
    closed = replace(THIS_HOST, allowed=(), proxy=proxy(f"http://127.0.0.1:{through.port}"))
    caller = Caller(closed)

    refused = caller.call(target.url)
    named = caller.call(f"http://nowhere.invalid:{target.port}/")
    caller.loop.stop()

    assert "loopback" in str(refused.error_title)
    assert named.word == "error"
    assert [request.path for request in through.requests] == [f"http://nowhere.invalid:{target.port}/"]


def test_proxies_of_the_environment_are_not_used(here: Town, caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    target, through = here.target(plain()), here.proxy()
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{through.port}")

    assert caller.call(target.url).word == "succeeded"
    assert (through.connections, target.connections) == (0, 1)


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
