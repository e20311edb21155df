from __future__ import annotations

from types import SimpleNamespace

import pytest
from django.db import connection
from django.test import override_settings

from tests.actions.hostile import ADDRESSES
from timers.actions import own_addresses
from timers.actions.egress import Egress, EgressRefused
from timers.actions.target import Target
from timers.conf import forms


def rules(**settings: object) -> Egress:
    with override_settings(TIMERS={f"HTTP_{name.upper()}": value for name, value in settings.items()}):
        return Egress.in_force()


def why(url: str, by: Egress) -> str:
    return by.why_refused_target(Target.parse(url)) or ""


def test_https_to_a_usual_port_is_let_out_and_nothing_else() -> None:
    plain = rules()

    assert why("https://api.example.org/", plain) == ""
    assert why("https://api.example.org:8443/", plain) == ""
    assert "use https" in why("http://api.example.org/", plain)
    assert "port 22" in why("https://api.example.org:22/", plain)


@pytest.mark.parametrize("url", ADDRESSES)
def test_a_closed_address_in_the_url_is_refused_before_any_try(url: str) -> None:
    assert why(url.replace("{port}", "8080"), rules(allow_plain=True))


def test_the_name_of_this_host_is_refused_as_its_addresses_are() -> None:
    assert "localhost is this host: 127.0.0.1 is a loopback address" in why("https://localhost/", rules())
    assert why("https://db.localhost/", rules())
    assert why("https://localhost/", rules(allow_private="127.0.0.0/8")) == ""
    assert why("https://localhost.example.org/", rules()) == ""


def test_settings_open_what_an_installation_needs() -> None:
    mine = rules(
        allow_plain="true", ports="80,8000-8999", allow_private="10.20.0.0/16, fd12::/16", deny="10.20.99.0/24"
    )

    assert why("http://10.20.1.1:8123/", mine) == ""
    assert why("http://[fd12::1]/", mine) == ""
    assert "denies" in why("http://10.20.99.1/", mine)
    assert "port 443" in why("https://10.20.1.1/", mine)
    assert why("http://intranet:65535/", rules(allow_plain=True, ports="any")) == ""


def test_one_closed_address_of_a_name_refuses_it_whole() -> None:
    with pytest.raises(EgressRefused, match=r"both\.example is refused: 10\.0\.0\.1 is a private address"):
        rules().check_addresses("both.example", ["93.184.215.14", "10.0.0.1"])
    rules().check_addresses("good.example", ["93.184.215.14", "2606:4700::1111"])


def test_what_is_no_address_is_refused() -> None:
    with pytest.raises(EgressRefused):
        rules().check_addresses("odd.example", ["not-an-address"])


def test_a_proxy_of_a_timers_own_is_not_for_installations_with_one() -> None:
    own = Target.parse("http://93.184.215.14:8080/")

    assert rules().why_refused_proxy(own) is None
    assert "loopback" in str(rules().why_refused_proxy(Target.parse("http://127.0.0.1:8080/")))
    assert "TIMERS_HTTP_PROXY" in str(rules(proxy="http://proxy.inside:3128").why_refused_proxy(own))


class TestTheInstallationItself:
    DATABASE = "93.184.215.14"

    @pytest.fixture(autouse=True)
    def _(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(connection.settings_dict, "HOST", f"/run/postgresql, {self.DATABASE},10.20.0.5")

    @pytest.mark.parametrize("host", [DATABASE, "10.20.0.5", "[::ffff:10.20.0.5]", "[2002:5db8:d70e::1]"])
    def test_its_database_is_closed_though_public_or_in_a_network_that_is_open(self, host: str) -> None:
        mine = rules(ports="any", allow_private="10.0.0.0/8,::ffff:0:0/96,2002::/16")

        assert why("https://10.20.0.6/", mine) == ""
        assert "where this installation itself listens" in why(f"https://{host}:5432/", mine)

    def test_it_is_opened_by_its_very_address_alone(self) -> None:
        assert why("https://10.20.0.5/", rules(allow_private="10.20.0.5")) == ""

    def test_its_handler_endpoint_is_closed_too(self) -> None:
        entry = {"ENTRY_URL": "https://93.184.215.99/api/v1/handlers", "ENTRY_KEY": "k"}
        with override_settings(TIMERS=entry):
            mine = Egress.in_force()

        assert "itself listens" in why("https://93.184.215.99/api/v1/handlers/x", mine)
        assert why("https://93.184.215.99/", rules()) == ""

    def test_a_name_that_leads_nowhere_closes_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(connection.settings_dict, "HOST", "no-such-host.invalid")

        assert why("https://93.184.215.14/", rules()) == ""

    def test_where_its_names_lead_is_looked_up_once_a_minute(self, monkeypatch: pytest.MonkeyPatch) -> None:
        asked = []

        def look_up(host: str, *_: object, **__: object) -> list[object]:
            asked.append(host)
            return [(2, 1, 6, "", (f"10.0.0.{len(asked)}", 0))]

        later = [0.0]
        monkeypatch.setattr(own_addresses, "time", SimpleNamespace(monotonic=lambda: later[0]))
        monkeypatch.setattr(own_addresses.socket, "getaddrinfo", look_up)
        monkeypatch.setattr(own_addresses, "_known", {})
        monkeypatch.setitem(connection.settings_dict, "HOST", "db.example")

        seen = []
        for later[0] in (1, 30, 60.9, 61, 100):
            seen += [str(address) for address in Egress.in_force().own]

        assert seen == ["10.0.0.1"] * 3 + ["10.0.0.2"] * 2


@pytest.mark.parametrize("ports", ["443", "80,443", "3000-4000"])
@pytest.mark.parametrize("host", ["93.184.215.14", "proxy.example.org", "[2606:2800:21f:cb07:6820:80da:af6b:8b2c]"])
@pytest.mark.parametrize("port", [22, 25, 443, 3128, 5432, 6379])
def test_a_proxy_of_a_timers_own_is_held_to_the_open_ports(ports: str, host: str, port: int) -> None:
    open_ports = forms.ports(ports)
    proxy = Target.parse(f"http://{host}:{port}/")
    reason = Egress(ports=open_ports).why_refused_proxy(proxy)
    assert (reason is None) == any(port in span for span in open_ports)
    assert reason is None or "TIMERS_HTTP_PORTS" in reason


@pytest.mark.parametrize("host", ["localhost", "a.localhost"])
def test_a_proxy_of_a_timers_own_is_not_this_host_by_name(host: str) -> None:
    proxy = Target.parse(f"http://{host}:443/")
    assert "this host" in str(Egress().why_refused_proxy(proxy))
