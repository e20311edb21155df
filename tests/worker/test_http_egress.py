"""Hostile URLs and name servers that lie: nothing on this host ever sees a connection."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from ipaddress import ip_address
from typing import Any

import pytest

from tests.actions.hostile import ADDRESSES, FORMS, NAMES
from tests.support.targets import plain, town
from tests.worker.calling import THIS_HOST, Caller
from timers.actions.egress import Egress
from timers.conf.forms import networks
from timers.exceptions import InvalidRequest
from timers.worker import guarded_resolver

EVERY_PORT: Egress = replace(THIS_HOST, allowed=())
PUBLIC = "93.184.215.14"


class Listener:
    """Listens on every address of this host, by IPv4 and IPv6, and counts who comes."""

    def __init__(self) -> None:
        self.connections: list[Any] = []
        self._socket = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
        self.port: int = self._socket.getsockname()[1]
        threading.Thread(target=self._count, daemon=True).start()

    def _count(self) -> None:
        with suppress(OSError):
            while True:
                connection, peer = self._socket.accept()
                self.connections.append(peer)
                connection.close()

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def listener() -> Iterator[Listener]:
    made = Listener()
    yield made
    made.close()


class Names:
    """A name server that may answer otherwise each time; stands in for the system's."""

    def __init__(self, answers: dict[str, list[list[str]]]) -> None:
        self._answers = {name: list(turns) for name, turns in answers.items()}
        self.asked: list[str] = []
        self._real = socket.getaddrinfo

    def __call__(self, host: str, port: int, **options: Any) -> Any:
        self.asked.append(host)
        turns = self._answers.get(host)
        if turns is None:
            return self._real(host, port, **options)
        addresses = turns.pop(0) if len(turns) > 1 else turns[0]
        found = []
        for address in addresses:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            place = (address, port, 0, 0) if ":" in address else (address, port)
            found.append((family, socket.SOCK_STREAM, 6, "", place))
        return found


LIES = {
    "inside.example": [["10.0.0.1"]],
    "metadata.example": [["169.254.169.254"]],
    "both.example": [[PUBLIC, "127.0.0.1"]],
    "mapped.example": [["::ffff:127.0.0.1"]],
}


def answered_by(monkeypatch: pytest.MonkeyPatch, answers: dict[str, list[list[str]]]) -> Names:
    names = Names(answers)
    monkeypatch.setattr(guarded_resolver.socket, "getaddrinfo", names)
    return names


def test_sixty_hostile_urls_make_no_connection(listener: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    answered_by(monkeypatch, LIES)
    connected: list[str] = []
    monkeypatch.setattr("asyncio.selector_events.BaseSelectorEventLoop.sock_connect", _noting(connected))
    caller = Caller(EVERY_PORT)
    refused = 0
    for form in [*FORMS, *ADDRESSES, *NAMES]:
        try:
            outcome = caller.call(form.replace("{port}", str(listener.port)), timeout=2)
        except InvalidRequest:
            refused += 1
        else:
            assert "refused" in str(outcome.error_title) or "not called" in str(outcome.error_title), form
    caller.loop.stop()

    assert refused == len(FORMS)
    assert connected == [], "nowhere else was one tried, be it private or a metadata server"
    assert listener.connections == []


def test_a_name_that_turns_to_this_host_after_the_check_is_not_followed(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The attack: a public address while it is checked, a loopback one when the connection is made."""
    names = answered_by(monkeypatch, {"turn.example": [[PUBLIC], ["127.0.0.1"], [PUBLIC], ["::1"]]})
    connected: list[str] = []
    monkeypatch.setattr("asyncio.selector_events.BaseSelectorEventLoop.sock_connect", _noting(connected))
    caller = Caller(EVERY_PORT)
    url = f"http://turn.example:{listener.port}/"

    ends = []
    for _ in range(6):
        ends.append(str(caller.call(url, timeout=2).error_title))
        forget_names(caller)
    caller.loop.stop()

    assert len(names.asked) >= 4
    assert set(connected) == {PUBLIC}
    assert any("loopback" in end for end in ends)
    assert listener.connections == []


def test_name_servers_that_are_silent_for_some_hold_up_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    silence = threading.Event()
    names = Names({"good.example": [["127.0.0.1"]]})

    def answer(host: str, port: int, **options: Any) -> Any:
        if host.startswith("silent"):
            silence.wait(20)
        return names(host, port, **options)

    monkeypatch.setattr(guarded_resolver.socket, "getaddrinfo", answer)
    with town() as here:
        target = here.target(plain())
        caller = Caller()
        for number in range(20):
            caller.submit(f"http://silent-{number}.example/", timeout=0.3)
        assert caller.call(f"http://good.example:{target.port}/", timeout=5).word == "succeeded"
        assert {outcome.word for outcome in caller.ended(21)} == {"succeeded", "timeout"}
        silence.set()
        caller.loop.stop()


def test_every_try_is_checked_not_only_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    with town() as here:
        target = here.target(plain())
        answered_by(monkeypatch, {"name.example": [["127.0.0.2"], ["127.0.0.3"]]})
        caller = Caller(replace(THIS_HOST, allowed=networks("127.0.0.2")))
        first = caller.call(f"http://name.example:{target.port}/", timeout=2)
        forget_names(caller)
        second = caller.call(f"http://name.example:{target.port}/", timeout=2)
        caller.loop.stop()

    assert "no connection" in str(first.error_title)
    assert "127.0.0.3 is a loopback address" in str(second.error_title)


def test_the_last_gate_holds_though_the_others_were_passed(listener: Listener) -> None:
    """Whatever resolved the name, and whatever the library makes of it: the socket itself is refused."""
    resolver = guarded_resolver.GuardedResolver(EVERY_PORT)

    for address in ("127.0.0.1", "::1", "::ffff:127.0.0.1", "169.254.169.254"):
        with pytest.raises(guarded_resolver.EgressRefused):
            resolver.open_socket((socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, listener.port)))


def test_a_users_proxy_leads_to_nothing_that_is_closed_here(monkeypatch: pytest.MonkeyPatch) -> None:
    with town() as here:
        through = here.proxy()
        answered_by(monkeypatch, {**LIES, "both.example": [[PUBLIC, "10.0.0.1"]]})
        caller = Caller(replace(THIS_HOST, allowed=networks("127.0.0.1")))
        by = {"scheme": "http", "host": "127.0.0.1", "port": through.port}
        ends = [
            str(caller.call(f"http://{host}/", proxy=by, timeout=2).error_title)
            for host in ("inside.example", "10.0.0.1", "metadata.example", "169.254.169.254", "both.example")
        ]
        caller.loop.stop()

    assert all("not called" in end for end in ends)
    assert through.connections == 0


def test_a_closed_scheme_or_port_is_refused_at_every_try_too() -> None:
    caller = Caller(Egress())

    assert "use https" in str(caller.call("http://example.org/").error_title)
    outcome = caller.call("https://example.org:22/")
    assert "port 22" in str(outcome.error_title)
    assert outcome.permanent
    caller.loop.stop()


def test_where_the_installation_listens_is_looked_up_again_while_calls_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    with town() as here:
        target = here.target(plain())
        caller = Caller()
        assert caller.call(target.url).word == "succeeded"
        monkeypatch.setattr(Egress, "in_force", lambda: replace(THIS_HOST, own=frozenset({ip_address("127.0.0.1")})))
        caller.calls._renew_at = 0
        outcome = caller.call(target.url)
        caller.loop.stop()

    assert "where this installation itself listens" in str(outcome.error_title)
    assert len(target.requests) == 1


def forget_names(caller: Caller) -> None:
    """As if the seconds for which a name's addresses are kept had passed."""
    outlet = caller.calls._outlet
    assert outlet is not None
    connector = outlet.session.connector
    caller.in_loop(connector.clear_dns_cache)  # type: ignore[union-attr]


def _noting(connected: list[str]) -> Any:
    async def sock_connect(self: Any, sock: socket.socket, address: tuple[Any, ...]) -> None:
        connected.append(address[0])
        raise ConnectionRefusedError(111, "refused by the test")

    return sock_connect
