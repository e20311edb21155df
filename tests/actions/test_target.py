from __future__ import annotations

import pytest
from yarl import URL

from tests.actions.hostile import ADDRESSES, FORMS, NAMES
from timers.actions.target import Target
from timers.exceptions import InvalidRequest


@pytest.mark.parametrize(
    ("text", "scheme", "host", "port", "path"),
    [
        ("https://api.example.org", "https", "api.example.org", 443, "/"),
        ("HTTPS://API.Example.ORG/a/B?c=D", "https", "api.example.org", 443, "/a/B?c=D"),
        ("http://example.org:8080/?q", "http", "example.org", 8080, "/?q"),
        ("https://xn--mnchen-3ya.example/", "https", "xn--mnchen-3ya.example", 443, "/"),
        ("https://a_b.example.org/", "https", "a_b.example.org", 443, "/"),
        ("https://intranet/hook", "https", "intranet", 443, "/hook"),
        ("https://93.184.215.14/x", "https", "93.184.215.14", 443, "/x"),
        ("https://[2606:4700::1111]:8443/x", "https", "2606:4700::1111", 8443, "/x"),
        ("https://example.org/%7Bid%7D;v=1/@me!$&'()*+,", "https", "example.org", 443, "/%7Bid%7D;v=1/@me!$&'()*+,"),
        ("https://example.org?x=1", "https", "example.org", 443, "/?x=1"),
        ("https://7up.example.7eleven/", "https", "7up.example.7eleven", 443, "/"),
    ],
)
def test_a_plain_url_is_read_as_every_client_reads_it(text: str, scheme: str, host: str, port: int, path: str) -> None:
    target = Target.parse(text)

    assert (target.scheme, target.host, target.port, target.path) == (scheme, host, port, path)
    read = URL(target.url, encoded=True)
    assert (read.scheme, read.raw_host, read.port, read.raw_path_qs) == (scheme, host, port, path)
    assert Target.parse(target.url) == target


def test_there_are_sixty_hostile_urls() -> None:
    assert len(FORMS) + len(ADDRESSES) + len(NAMES) >= 60


@pytest.mark.parametrize("url", FORMS)
def test_a_hostile_form_is_refused_naming_the_field(url: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        Target.parse(url.replace("{port}", "8080"), "action.url")

    assert refused.value.field == "action.url"


@pytest.mark.parametrize("url", [*ADDRESSES, *NAMES])
def test_a_good_form_of_a_closed_address_is_read_and_left_to_the_guard(url: str) -> None:
    assert Target.parse(url.replace("{port}", "8080")).port == 8080


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://2130706433/", "write 127.0.0.1"),
        ("http://0177.0.0.1/", "write 127.0.0.1"),
        ("http://127.1/", "write 127.0.0.1"),
        ("http://localhost./", "write localhost"),
        ("https://münchen.example/", "xn--mnchen-3ya.example"),
        ("https://example.org/a b", "U+0020"),
        ("https://example.org\\x", "write / instead"),
        ("https://example.org/100%", "write %25"),
        ("https://example.org/#top", "leave it out"),
        ("https://example.org:99999/", "1 to 65535"),
        ("example.org/hook", "must begin with https://"),
        ("", "must be a URL"),
        (None, "must be a URL"),
        ("https://example.org/" + "a" * 2000, "at most 2,000 characters"),
        ("https://" + "a" * 64 + ".example/", "1 to 63 letters"),
    ],
)
def test_the_refusal_says_what_to_write(url: object, says: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        Target.parse(url)

    assert says in str(refused.value)


def test_a_password_in_a_url_is_told_where_it_belongs() -> None:
    with pytest.raises(InvalidRequest, match="give credentials as auth"):
        Target.parse("https://me:hunter2@example.org/")


@pytest.mark.parametrize(
    "url",
    [
        "https://me:hunter2@example.org/",
        "https://me:hunter2@example.org:0/",
        "https://me:hunter2@example.org/#top",
        "https://me:hunter2@127.1/",
        "ftp://me:hunter2@example.org/",
        "me:hunter2@example.org/",
        "https://me:hunter2@exämple.org/",
        "https://me:hunter2%@example.org/",
        "https://me:hunter2@example.org/" + "x" * 2000,
    ],
)
def test_a_password_in_a_url_is_never_repeated(url: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        Target.parse(url)

    assert "hunter2" not in str(refused.value)
