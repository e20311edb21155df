"""Secrets of a call: every position of an answer, in every encoding, and what is left of them."""

from __future__ import annotations

import base64
import html
import itertools
import json
import quopri
import re
import time
from collections.abc import Callable, Iterator
from typing import Final
from urllib.parse import quote, quote_plus

import pytest

from tests.support.targets import Answer, Town, plain, raw
from tests.worker.calling import Caller
from timers.worker.http_exchange import KEPT_BYTES
from timers.worker.masking import HIDDEN, Masking

PLAIN: Final = "tok-9fQ4x7LmZ2"
SECRETS: Final = {
    "letters": PLAIN,
    "signs": "p@ss w/\"rd' <&>\\+=%;1",
    "long": "Ab0-" * 120,
}


def _json(text: str) -> str:
    return json.dumps(text)[1:-1]


def _every(form: str) -> Callable[[str], str]:
    return lambda text: "".join(form.format(ord(character)) for character in text)


ENCODINGS: Final[dict[str, Callable[[str], str]]] = {
    "as it is": str,
    "lower case": str.lower,
    "json": _json,
    "json, slashes too": lambda text: _json(text).replace("/", "\\/"),
    "json, every character": _every("\\u{:04x}"),
    "json, twice": lambda text: _json(_json(text)),
    "json, three times": lambda text: _json(_json(_json(text))),
    "python": lambda text: repr(text)[1:-1],
    "python bytes": lambda text: repr(text.encode())[2:-1],
    "python, every character": _every("\\x{:02x}"),
    "percent": quote,
    "percent, slashes too": lambda text: quote(text, safe=""),
    "percent, plus": quote_plus,
    "percent, every character": _every("%{:02X}"),
    "percent, twice": lambda text: quote(quote(text, safe=""), safe=""),
    "percent, every character twice": _every("%25{:02x}"),
    "html": html.escape,
    "html, every character": _every("&#{};"),
    "html, every character in hexadecimal": _every("&#x{:X};"),
    "html, twice": lambda text: html.escape(html.escape(text)),
    "html in json": lambda text: _json(html.escape(text)),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 for urls": lambda text: base64.urlsafe_b64encode(text.encode()).decode(),
    "base64 after one": lambda text: base64.b64encode(b"x" + text.encode() + b"yz").decode(),
    "base64 after two": lambda text: base64.b64encode(b"xy" + text.encode() + b"z").decode(),
    "base64 of user and password": lambda text: base64.b64encode(b"me:" + text.encode()).decode(),
    "base64 in a url": lambda text: quote(base64.b64encode(text.encode()).decode(), safe=""),
    "hexadecimal": lambda text: text.encode().hex(),
    "hexadecimal, upper case": lambda text: text.encode().hex().upper(),
    "quoted-printable": lambda text: quopri.encodestring(text.encode()).decode().strip(),
}
WIDE: Final = {
    "utf-16": lambda text: text.encode("utf-16-le").decode("latin-1"),
    "utf-16, the other way": lambda text: text.encode("utf-16-be").decode("latin-1"),
    "utf-32": lambda text: text.encode("utf-32-le").decode("latin-1"),
}


def traces(secret: str, text: str) -> list[str]:
    """Parts of a secret that a text still holds, read back by every decoder there is."""
    found = []
    for read in _readings(text):
        found += [part for part in _parts(secret.lower()) if part in read.lower()]
    return found


def _parts(secret: str) -> Iterator[str]:
    return (secret[at : at + 8] for at in range(max(1, len(secret) - 7)))


def _readings(text: str) -> Iterator[str]:
    once = text.replace("\\x00", "")
    for _ in range(3):
        yield once
        yield re.sub(r"\\(?:u00|x)([0-9a-fA-F]{2})", lambda found: chr(int(found[1], 16)), once)
        for word in re.findall(r"[A-Za-z0-9+/_-]{8,}", once):
            for skipped in range(4):
                part = word[skipped:].replace("-", "+").replace("_", "/")
                yield base64.b64decode(part[: len(part) // 4 * 4]).decode("latin-1")
            if re.fullmatch(r"(?:[0-9a-fA-F]{2})+", word):
                yield bytes.fromhex(word).decode("latin-1")
        from urllib.parse import unquote_plus

        once = html.unescape(unquote_plus(once)).replace("\\\\", "\\")
        once = re.sub(r"\\([\"'/])", r"\1", once)


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS)
@pytest.mark.parametrize("encode", [*ENCODINGS.values(), *WIDE.values()], ids=[*ENCODINGS, *WIDE])
def test_a_secret_is_masked_in_every_encoding(secret: str, encode: Callable[[str], str]) -> None:
    masked = Masking([secret]).text(f"before {encode(secret)} after")
    assert traces(secret, masked) == []
    assert HIDDEN in masked
    assert masked.startswith("before ")
    assert masked.endswith(" after")


PART: Final = 9
"""Eight characters, and the backslash of a secret, which does not count."""
CUTS: Final[dict[str, Callable[[str], Iterator[str]]]] = {
    "beginnings": lambda text: (text[:end] for end in _places(text)),
    "ends": lambda text: (text[start:] for start in range(0, len(text) - PART + 1, 1 + len(text) // 50)),
    "middles": lambda text: (text[end - PART : end] for end in _places(text)),
    "all but the first and the last": lambda text: iter([text[1:-1]]),
}


def _places(text: str) -> range:
    return range(PART, len(text) + 1, 1 + len(text) // 50)


@pytest.mark.parametrize("cut", CUTS.values(), ids=CUTS)
@pytest.mark.parametrize("encode", [*ENCODINGS.values(), *WIDE.values()], ids=[*ENCODINGS, *WIDE])
def test_a_part_of_a_secret_is_masked_in_every_encoding(
    cut: Callable[[str], Iterator[str]], encode: Callable[[str], str]
) -> None:
    for secret in SECRETS.values():
        masking = Masking([secret])
        for part in cut(secret):
            masked = masking.text(f"before {encode(part)} after")
            assert traces(secret, masked) == [], (part, masked)
            assert HIDDEN in masked, part
            assert masked.startswith("before")
            assert masked.endswith("after")


@pytest.mark.parametrize("cut", CUTS.values(), ids=CUTS)
@pytest.mark.parametrize("encode", ENCODINGS.values(), ids=ENCODINGS)
def test_a_secret_is_masked_where_its_encoded_form_was_cut(
    cut: Callable[[str], Iterator[str]], encode: Callable[[str], str]
) -> None:
    for secret in (secret.replace("\\", "") for secret in SECRETS.values()):
        masking = Masking([secret])
        for part in cut(encode(secret)):
            masked = masking.text(f"before {part}")
            assert traces(secret, masked) == [], (part, masked)


def test_a_token_without_its_known_prefix_is_masked_whole() -> None:
    masking = Masking(["sk_live_9fQ4x7LmZ2kWq81"])
    assert masking.text("no user has 9fQ4x7LmZ2kWq81") == f"no user has {HIDDEN}"


def test_fewer_than_eight_characters_of_a_secret_stay() -> None:
    assert Masking(["production-password"]).text("product: no passwor") == "product: no passwor"


SERVICE_ACCOUNT: Final = json.dumps({
    "type": "service_account", "project_id": "billing-314", "private_key_id": "b7f0c2aa91",
    "private_key": "-----BEGIN PRIVATE KEY-----\nMIIEvQ9fQ4x7LmZ2kWq81hG\n-----END PRIVATE KEY-----\n",
    "client_id": "1183094", "token_uri": "https://oauth2.googleapis.com/token",
})  # fmt: skip


@pytest.mark.parametrize(
    "innocent",
    [
        "see https://www.example.com/help",
        '{"error": "invalid", "client_id": "unknown", "private_key": "missing"}',
        "expected -----BEGIN PRIVATE KEY----- at the start",
        "%22private_key%22 is missing: " + quote('"client_id": "x"'),
        "sent " + base64.b64encode(b"-----BEGIN PRIVATE KEY-----\n").decode(),
    ],
)
def test_well_known_parts_of_a_structured_secret_stay_in_texts_without_it(innocent: str) -> None:
    masking = Masking([SERVICE_ACCOUNT, "https://www.9fQ4x7LmZ2.invalid"])
    assert masking.text(innocent) == innocent


def test_structured_secret_is_masked_whole_with_its_well_known_parts() -> None:
    masking = Masking([SERVICE_ACCOUNT])
    for encode in (str, _json, quote, lambda text: base64.b64encode(text.encode()).decode().rstrip("=")):
        assert masking.text(f"got <{encode(SERVICE_ACCOUNT)}>") in (f"got <{HIDDEN}>", f"got <{HIDDEN}9>")
    assert masking.text("key 9fQ4x7LmZ2kWq81hG") == f"key {HIDDEN}"


@pytest.mark.parametrize("secret", ["https://", "password", "-----BEGIN PRIVATE KEY-----"])
def test_secret_that_is_nothing_but_a_well_known_part_is_masked(secret: str) -> None:
    assert Masking([secret]).text(f"it is <{secret}>") == f"it is <{HIDDEN}>"


def test_parts_next_to_each_other_are_masked_once() -> None:
    masking = Masking(["0123456789ab", "cdefghijklmn"])
    assert masking.text("x 123456789abcdefghijkl y") == f"x {HIDDEN} y"


@pytest.mark.parametrize("text", ["aaaaaaab" * 16_384, "a" * 131_072, "%61" * 43_690], ids=["almost", "all", "escaped"])
def test_time_of_masking_is_linear(text: str) -> None:
    masking = Masking(["a" * 4096, "b" + "a" * 4095])
    started = time.process_time()
    masking.text(text)
    # A fraction of that is usual; comparing at each place with a whole secret takes minutes.
    assert time.process_time() - started < 5


def test_what_is_no_secret_stays_as_it_is() -> None:
    text = json.dumps({"a": "%41 \\ &amp; tok-9", "b": ["ä", "\n"], "c": base64.b64encode(b"something else").decode()})
    assert Masking([PLAIN]).text(text) == text
    assert Masking([]).text(text) == text


def test_a_short_secret_is_masked_whole_only() -> None:
    masking = Masking(["abc"])
    assert masking.text("ab abc %61bc YWJj") == f"ab {HIDDEN} {HIDDEN} YWJj"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("about a cab, 100 % able\n", "about a cab, 100 % able\n"),
        ("it is %61%62.", f"it is {HIDDEN}."),
        ("it is %2561%2562.", f"it is {HIDDEN}."),
        ("a cab is &#97;b", f"a cab is {HIDDEN}"),
    ],
)
def test_secret_of_escapes_alone_is_masked_only_where_it_is_escaped(text: str, masked: str) -> None:
    assert Masking(["%61%62"]).text(text) == masked


def test_a_secret_of_other_scripts_is_masked() -> None:
    secret = "пароль🔑é"
    masking = Masking([secret])
    for said in (secret, json.dumps(secret), quote(secret), html.escape(secret), repr(secret.encode()),
                 secret.encode().decode("latin-1"), secret.encode().decode("ascii", "surrogateescape"),
                 base64.b64encode(secret.encode()).decode()):  # fmt: skip
        assert HIDDEN in masking.text(said), said


def _status_line(text: bytes) -> Answer:
    return raw(b"HTTP/1.1 500 got " + text + b"\r\nContent-Length: 0\r\n\r\n")


def _header_name(text: bytes) -> Answer:
    return raw(b"HTTP/1.1 500 Nope\r\nX-" + text + b": 1\r\nContent-Length: 0\r\n\r\n")


def _header_value(text: bytes) -> Answer:
    return raw(b"HTTP/1.1 500 Nope\r\nX-Echo: " + text + b"\r\nContent-Length: 0\r\n\r\n")


def _location(text: bytes) -> Answer:
    return raw(b"HTTP/1.1 302 Found\r\nLocation: https://x.example/?t=" + text + b"\r\nContent-Length: 0\r\n\r\n")


def _body(before: int = 0) -> Callable[[bytes], Answer]:
    return lambda text: plain("500 Nope", b"." * before + b" " + text + b" end")


def _not_http(text: bytes) -> Answer:
    return raw(b"got " + text + b"\r\n\r\n")


def _bad_header(text: bytes) -> Answer:
    return raw(b"HTTP/1.1 200 OK\r\nno colon " + text + b"\r\n\r\n")


def _broken_body(text: bytes) -> Answer:
    return raw(b"HTTP/1.1 500 Nope\r\nContent-Length: 9999\r\n\r\n" + text[: len(text) - 2])


def _bad_chunk(text: bytes) -> Answer:
    return raw(b"HTTP/1.1 500 Nope\r\nTransfer-Encoding: chunked\r\n\r\n" + text + b"\r\nabc\r\n")


def _bad_coding(text: bytes) -> Answer:
    return raw(b"HTTP/1.1 200 OK\r\nContent-Length: " + text + b"\r\n\r\n")


POSITIONS: Final[dict[str, Callable[[bytes], Answer]]] = {
    "status line": _status_line,
    "header name": _header_name,
    "header value": _header_value,
    "location": _location,
    "body": _body(),
    "across the cut": _body(KEPT_BYTES - 9),
    "just before the cut": _body(KEPT_BYTES - 60),
    "no http": _not_http,
    "a header without a colon": _bad_header,
    "a body that breaks off": _broken_body,
    "a chunk's size": _bad_chunk,
    "a length": _bad_coding,
}
AUTHS: Final = {
    "bearer": {"kind": "bearer", "secret": "s"},
    "basic": {"kind": "basic", "username": "me", "secret": "s"},
    "header": {"kind": "header", "header": "appKey", "secret": "s"},
}


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_what_a_target_repeats_is_kept_nowhere(here: Town, caller: Caller, encoding: str) -> None:
    for position, auth in itertools.product(POSITIONS, AUTHS):
        caller.keep("s", PLAIN)
        target = here.target(POSITIONS[position](ENCODINGS[encoding](PLAIN).encode()))
        outcome = caller.call(target.url, auth=AUTHS[auth])
        kept = [outcome.exchange, outcome.error_title, outcome.error_detail, outcome.reason, outcome.result,
                outcome.pauses, outcome.log]  # fmt: skip
        for text in filter(None, kept):
            assert traces(PLAIN, str(text)) == [], (position, auth, text)


def test_a_signing_key_that_is_repeated_is_kept_nowhere(here: Town, caller: Caller) -> None:
    key = base64.b64encode(bytes(range(32))).decode()
    caller.keep("k", f"whsec_{key}", kind="signing")
    for said in (f"whsec_{key}", key, bytes(range(32)).hex()):
        outcome = caller.call(here.target(plain(f"500 {said}", said.encode())).url, sign="k")
        assert said not in str(outcome.exchange)
        assert said not in str(outcome.error_title)


def test_failures_that_differ_in_a_secret_only_have_one_fingerprint(here: Town, caller: Caller) -> None:
    caller.keep("s", PLAIN)
    auth = {"kind": "bearer", "secret": "s"}
    target = here.target(_not_http(PLAIN.encode()))
    first = caller.call(target.url, auth=auth)
    assert first.error_fingerprint
    assert PLAIN not in str(first.error_title)
