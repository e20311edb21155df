from __future__ import annotations

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import RequestFactory, override_settings

from timers import conf
from timers.conf.forms import trusted_proxies
from timers.security.client_address import client_address, forwarded_for, plain_address

PROXIES = trusted_proxies("10.0.0.0/8, 2001:db8:ffff::/48")


@pytest.mark.parametrize(
    ("peer", "header", "client"),
    [
        ("192.0.2.7", "", "192.0.2.7"),
        ("192.0.2.7", "203.0.113.5", "192.0.2.7"),  # not a proxy of ours: its header is its own invention
        ("10.0.0.1", "203.0.113.5", "203.0.113.5"),
        ("10.0.0.1", "1.1.1.1, 203.0.113.5", "203.0.113.5"),  # what the client wrote itself stands to the left
        ("10.0.0.1", "203.0.113.5, 10.0.0.2", "203.0.113.5"),
        ("10.0.0.1", "203.0.113.5, 10.0.0.2, 10.0.0.3", "203.0.113.5"),
        ("10.0.0.1", "10.0.0.9, 10.0.0.2", "10.0.0.9"),  # a client inside
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.5, unknown", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.5, 10.0.0.2, ", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.5:4711", "203.0.113.5"),
        ("10.0.0.1", "[2001:DB8::5]:443", "2001:db8::5"),
        ("::ffff:10.0.0.1", "203.0.113.5", "203.0.113.5"),
        ("2001:db8:ffff::1", "::ffff:203.0.113.5", "203.0.113.5"),
        ("", "203.0.113.5", ""),
        ("fe80::1%eth0", "", "fe80::1"),
    ],
)
def test_the_client_is_the_first_address_from_the_right_that_no_trusted_proxy_has(
    peer: str, header: str, client: str
) -> None:
    assert forwarded_for(peer, header, PROXIES) == client


def test_whatever_comes_through_a_unix_socket_can_be_trusted_too() -> None:
    assert forwarded_for("", "203.0.113.5", trusted_proxies("unix")) == "203.0.113.5"
    assert forwarded_for("", "203.0.113.5, 10.0.0.1", trusted_proxies("unix,10.0.0.0/8")) == "203.0.113.5"
    assert forwarded_for("", "", trusted_proxies("unix")) == ""


def test_nobody_is_trusted_unless_the_settings_say_so() -> None:
    request = RequestFactory().get("/", REMOTE_ADDR="10.0.0.1", HTTP_X_FORWARDED_FOR="203.0.113.5")
    assert client_address(request) == "10.0.0.1"
    with override_settings(TIMERS={"TRUSTED_PROXIES": "10.0.0.0/8"}):
        assert client_address(request) == "203.0.113.5"


def test_a_forged_header_does_not_make_another_client_of_whoever_sends_it() -> None:
    with override_settings(TIMERS={"TRUSTED_PROXIES": "10.0.0.1"}):
        seen = {
            client_address(
                RequestFactory().get("/", REMOTE_ADDR="10.0.0.1", HTTP_X_FORWARDED_FOR=f"{forged}, 192.0.2.7")
            )
            for forged in ("1.1.1.1", "10.0.0.1", "nonsense", "", ",,,", "10.0.0.1, 10.0.0.1")
        }
    assert seen == {"192.0.2.7"}


@pytest.mark.parametrize(
    "text", ["", "  ", "unknown", "1.2.3", "1.2.3.4.5", "_hidden", "[::1", "a:b", "1.2.3.4:", "\0"]
)
def test_no_text_makes_it_fail(text: str) -> None:
    assert plain_address(text) in ("", "::1", "1.2.3.4")


def test_proxies_that_are_no_networks_stop_the_start() -> None:
    with pytest.raises(ImproperlyConfigured, match="TIMERS_TRUSTED_PROXIES must be networks"):
        conf.load({"TIMERS_TRUSTED_PROXIES": "10.0.0.0/33"})
