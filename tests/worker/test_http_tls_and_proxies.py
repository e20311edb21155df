from __future__ import annotations

import errno
import socket
import threading
from asyncio.selector_events import BaseSelectorEventLoop
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.certificates import Authority
from tests.support.targets import Town, plain, raw
from tests.worker.calling import THIS_HOST, Caller, exchange
from timers.conf.forms import proxy


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


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


def test_with_the_direct_way_blocked_all_calls_come_through_the_installations_proxy_and_none_bypasses_it(
    here: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    closing = raw(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    target, through = here.target(closing), here.proxy()
    tried: list[tuple[str, int]] = []
    connect = BaseSelectorEventLoop.sock_connect

    async def only_to_the_proxy(self: BaseSelectorEventLoop, sock: socket.socket, address: tuple[str, int]) -> None:
        if threading.current_thread().name == "event-loop":
            tried.append((address[0], address[1]))
            if address[1] != through.port:
                raise OSError(errno.ENETUNREACH, "the direct way is blocked")
        await connect(self, sock, address)

    monkeypatch.setattr(BaseSelectorEventLoop, "sock_connect", only_to_the_proxy)
    blocked, proxied = Caller(), Caller(replace(THIS_HOST, proxy=proxy(f"http://127.0.0.1:{through.port}")))
    direct = blocked.call(target.url)
    tried.clear()
    ends = [proxied.call(target.url).word for _ in range(20)]
    blocked.loop.stop()
    proxied.loop.stop()

    assert direct.word == "error"
    assert ends == ["succeeded"] * 20
    assert len(target.requests) == 20
    assert {port for _, port in tried} == {through.port}


def test_proxies_of_the_environment_are_not_used(here: Town, caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    target, through = here.target(plain()), here.proxy()
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{through.port}")

    assert caller.call(target.url).word == "succeeded"
    assert (through.connections, target.connections) == (0, 1)
