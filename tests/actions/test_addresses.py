from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from timers.actions.addresses import METADATA, why_refused

_PUBLIC = """
1.1.1.1 8.8.8.8 9.9.9.9 93.184.215.14 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.1 169.253.255.255 169.255.0.0
172.15.255.255 172.32.0.0 191.255.255.255 192.0.1.0 192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0 203.0.112.255
223.255.255.255 168.63.129.17
2606:4700:4700::1111 2a00:1450:4001:82f::200e 2620:fe::fe 2400:cb00:2048:1::c629:d7a2 2003::1
"""

_CLOSED = """
0.0.0.0 0.1.2.3 10.0.0.0 10.255.255.255 100.64.0.1 100.127.255.255 127.0.0.1 127.255.255.254 169.254.0.1 169.254.169.254
172.16.0.1 172.31.255.255 192.0.0.8 192.0.0.192 192.0.2.1 192.88.99.1 192.168.0.1 198.18.0.1 198.19.255.255 198.51.100.7
203.0.113.7 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255 168.63.129.16 100.100.100.200
:: ::1 ::2 ::127.0.0.1 ::8.8.8.8 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:0:127.0.0.1
64:ff9b::7f00:1 64:ff9b::a9fe:a9fe 64:ff9b::808:808 64:ff9b:1::7f00:1 100::1 2001::1 2001:0:7f00:1::80ff:fffe
2001:db8::1 2001:10::1 2002:7f00:1:: 2002:a00:1::1 2002:808:808::1 3fff::1 5f00::1 fc00::1 fd12:3456::1 fd00:ec2::254
fe80::1 fec0::1 ff02::1 ff0e::1 2606:4700::5efe:7f00:1 2606:4700::200:5efe:a00:1 fd20:ce::254
"""
PUBLIC, CLOSED = _PUBLIC.split(), _CLOSED.split()


def test_the_table_is_long_enough() -> None:
    assert len(PUBLIC) + len(CLOSED) >= 80


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_open(address: str) -> None:
    assert why_refused(ip_address(address)) is None


@pytest.mark.parametrize("address", CLOSED)
def test_any_other_is_closed_in_words(address: str) -> None:
    reason = why_refused(ip_address(address))

    assert reason is not None
    assert reason.startswith(str(ip_address(address)))


def test_an_address_in_an_address_is_named() -> None:
    assert why_refused(ip_address("2606:4700::5efe:7f00:1")) == (
        "2606:4700::5efe:7f00:1 stands for 127.0.0.1, a loopback address"
    )


def test_an_address_with_a_zone_is_closed() -> None:
    assert "network interface" in str(why_refused(ip_address("fe80::1%eth0")))
    assert why_refused(ip_address("2606:4700::1%eth0"), allowed=[ip_network("::/0")]) is not None


def test_a_network_that_is_allowed_opens_its_addresses_and_no_others() -> None:
    allowed = [ip_network("10.20.0.0/16"), ip_network("fd12::/16")]

    assert why_refused(ip_address("10.20.3.4"), allowed=allowed) is None
    assert why_refused(ip_address("fd12::7"), allowed=allowed) is None
    assert why_refused(ip_address("10.21.0.1"), allowed=allowed) is not None


def test_an_allowed_translator_opens_only_what_is_public_behind_it() -> None:
    allowed = [ip_network("64:ff9b::/96")]

    assert why_refused(ip_address("64:ff9b::808:808"), allowed=allowed) is None
    assert why_refused(ip_address("64:ff9b::7f00:1"), allowed=allowed) is not None


def test_a_mapped_address_needs_both_of_its_forms_allowed() -> None:
    inner = ip_network("127.0.0.0/8")

    assert why_refused(ip_address("::ffff:127.0.0.1"), allowed=[inner]) is not None
    assert why_refused(ip_address("::ffff:127.0.0.1"), allowed=[inner, ip_network("::ffff:0:0/96")]) is None


@pytest.mark.parametrize("address", sorted(map(str, METADATA)))
def test_a_metadata_server_is_opened_by_its_very_address_alone(address: str) -> None:
    everything = [ip_network("0.0.0.0/0"), ip_network("::/0")]

    assert why_refused(ip_address(address), allowed=everything) is not None
    assert why_refused(ip_address(address), allowed=[*everything, ip_network(address)]) is None


def test_what_is_denied_is_closed_though_it_is_public_or_allowed() -> None:
    denied = [ip_network("93.184.215.0/24"), ip_network("10.0.0.0/8")]

    assert why_refused(ip_address("93.184.215.14"), denied=denied) is not None
    assert why_refused(ip_address("10.1.1.1"), allowed=[ip_network("10.1.0.0/16")], denied=denied) is not None
    assert why_refused(ip_address("64:ff9b::5db8:d70e"), allowed=[ip_network("64:ff9b::/96")], denied=denied)


def test_the_loopback_of_ipv6_can_be_opened_by_itself() -> None:
    allowed = [ip_network("127.0.0.1"), ip_network("::1")]
    assert why_refused(ip_address("::1"), allowed=allowed) is None
    assert why_refused(ip_address("::1"), allowed=[ip_network("127.0.0.0/8")]) == "::1 is a loopback address"
    assert "loopback" in str(why_refused(ip_address("::127.0.0.2"), allowed=[ip_network("::/64")]))
