from __future__ import annotations

import re
import string

import pytest
from django.test import override_settings

from timers.security.api_keys.format import KeyText, new_key, read_key


def test_a_key_says_what_it_is_which_one_and_its_secret() -> None:
    key = new_key()
    assert re.fullmatch(r"tk_[0-9A-Za-z]{12}_[0-9A-Za-z]{49}", key.reveal())
    assert key.reveal().startswith(f"tk_{key.public_id}_{key.secret}")
    assert read_key(key.reveal()) == key


def test_no_two_keys_share_a_secret_or_a_public_id() -> None:
    keys = [new_key() for _ in range(1_000)]
    assert len({key.secret for key in keys}) == len({key.public_id for key in keys}) == 1_000


def test_a_secret_has_256_bits() -> None:
    digits = string.digits + string.ascii_uppercase + string.ascii_lowercase
    values = []
    for _ in range(200):
        value = 0
        for digit in new_key().secret:
            value = 62 * value + digits.index(digit)
        values.append(value)
    assert max(values) < 2**256
    assert max(values).bit_length() > 250
    # Every bit is set in some of them, and clear in others.
    assert all(0 < sum(value >> bit & 1 for value in values) < 200 for bit in range(256))


def test_one_wrong_character_is_noticed_wherever_it_stands() -> None:
    text = new_key().reveal()
    for at, letter in enumerate(text):
        assert read_key(text[:at] + ("x" if letter != "x" else "y") + text[at + 1 :]) is None
    for at in range(3, len(text) - 1):
        swapped = text[:at] + text[at + 1] + text[at] + text[at + 2 :]
        assert swapped == text or read_key(swapped) is None


@pytest.mark.parametrize(
    "text", ["", "tk_", "tk_x_y", "Bearer", "tk_" + "0" * 62, "tk_äää", "\0", "tk_" + "0" * 10_000]
)
def test_what_is_no_key_is_none(text: str) -> None:
    assert read_key(text) is None


def test_nothing_is_taken_off_or_put_around_a_key() -> None:
    text = new_key().reveal()
    assert [read_key(other) for other in (text[:-1], text + "0", f" {text}", f"{text}\n", text.upper())] == [None] * 5


def test_a_digest_fits_its_own_key_only() -> None:
    key = new_key()
    assert key.matches(key.digest())
    assert not new_key(key.public_id).matches(key.digest())
    assert not KeyText(new_key().public_id, key.secret).matches(key.digest())
    assert key.secret not in key.digest()


def test_a_digest_needs_the_pepper() -> None:
    key = new_key()
    digest = key.digest()
    with override_settings(SECRET_KEY="another installation's"):
        assert not key.matches(digest)
        assert key.digest() != digest


def test_a_secret_key_that_was_replaced_still_fits_while_it_is_a_fallback() -> None:
    key = new_key()
    with override_settings(SECRET_KEY="the old one"):
        digest = key.digest()
    with override_settings(SECRET_KEY="the new one", SECRET_KEY_FALLBACKS=["the old one"]):
        assert key.matches(digest)
    with override_settings(SECRET_KEY="the new one", SECRET_KEY_FALLBACKS=[]):
        assert not key.matches(digest)


def test_a_key_does_not_show_its_secret_when_it_is_printed() -> None:
    key = new_key()
    assert key.secret not in repr(key)
    assert key.secret not in str([key])
