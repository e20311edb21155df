"""What ThingWorx's PostJSON can be told, each option as a server on this host sees it: one call after the other."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from tests.support.certificates import Authority
from tests.support.targets import Town, hang, plain
from tests.worker.calling import Caller, exchange


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


def test_url_headers_and_content(here: Town, caller: Caller) -> None:
    server = here.target(plain("200 OK", b'{"rows":[]}', Content_Type="application/json"))

    outcome = caller.call(
        f"http://127.0.0.1:{server.port}/Thingworx/Things/Utility/Services/Process?x=1",
        headers={"Content-Type": "application/json; charset=utf-8", "X-Tenant": "north"},
        content={"vendor": "{{Payload.vendor}}", "number": 7},
        payload={"vendor": "Grün & Söhne"},
    )

    (seen,) = server.requests
    assert (seen.method, seen.path) == ("POST", "/Thingworx/Things/Utility/Services/Process?x=1")
    assert (seen.header("Content-Type"), seen.header("X-Tenant")) == ("application/json; charset=utf-8", "north")
    assert json.loads(seen.body) == {"vendor": "Grün & Söhne", "number": 7}
    assert exchange(outcome)["response"]["body"] == '{"rows":[]}'


def test_app_key(here: Town, caller: Caller) -> None:
    caller.keep("thingworx", "9b2e6f")
    server = here.target(plain())

    caller.call(server.url, auth={"kind": "header", "header": "appKey", "secret": "thingworx"})

    assert server.requests[0].header("appKey") == "9b2e6f"


def test_username_and_password(here: Town, caller: Caller) -> None:
    caller.keep("password", "s3cret")
    server = here.target(plain())

    caller.call(server.url, auth={"kind": "basic", "username": "Administrator", "secret": "password"})

    given = base64.b64encode(b"Administrator:s3cret").decode()
    assert server.requests[0].header("Authorization") == f"Basic {given}"


def test_timeout(here: Town, caller: Caller) -> None:
    server = here.target(hang)

    outcome = caller.call(server.url, timeout=0.2)

    assert (outcome.word, server.connections) == ("timeout", 1)
    assert 200_000 <= outcome.finished_us - (outcome.started_us or 0) < 1_200_000


def test_proxy_scheme_host_and_port(here: Town, caller: Caller) -> None:
    server, through = here.target(plain()), here.proxy()

    outcome = caller.call(server.url, proxy={"scheme": "http", "host": "127.0.0.1", "port": through.port})

    assert outcome.word == "succeeded"
    assert [request.path for request in through.requests] == [server.url]
    assert len(server.requests) == 1


def test_ignore_ssl_errors(here: Town, caller: Caller, authority: Authority, tmp_path: Path) -> None:
    server = here.target(plain(), tls=authority.server_context(tmp_path, "other.example", expired=True))

    assert caller.call(server.url).word == "error"
    assert server.requests == []
    assert caller.call(server.url, ignore_tls_errors=True).word == "succeeded"
    assert len(server.requests) == 1


def test_without_cookies(here: Town, caller: Caller) -> None:
    """A load balancer's cookie would bind all calls of a timer to one node."""
    server = here.target(plain(Set_Cookie="AWSALB=node-1; Path=/"))

    for _ in range(3):
        caller.call(server.url)

    assert [request.header("Cookie") for request in server.requests] == [None] * 3


def test_all_of_them_at_once(here: Town, caller: Caller, authority: Authority, tmp_path: Path) -> None:
    caller.keep("password", "s3cret")
    server = here.target(plain(Set_Cookie="a=1"), tls=authority.server_context(tmp_path, "other.example"))
    through = here.proxy()

    outcome = caller.call(
        server.url, headers={"X-Tenant": "north"}, content={"a": 1}, timeout=5, ignore_tls_errors=True,
        proxy={"scheme": "http", "host": "127.0.0.1", "port": through.port},
        auth={"kind": "basic", "username": "Administrator", "secret": "password"},
    )  # fmt: skip

    assert outcome.word == "succeeded"
    assert [request.method for request in through.requests] == ["CONNECT"]
    (seen,) = server.requests
    assert (json.loads(seen.body), seen.header("X-Tenant"), seen.header("Cookie")) == ({"a": 1}, "north", None)
    assert str(seen.header("Authorization")).startswith("Basic ")
