from __future__ import annotations

from datetime import date

import pytest
from django.test import override_settings

from timers.exceptions import NotAllowedNow
from timers.security.encryption import Keyring, Sealed, Unopenable, new_key

OLD, NEW = (new_key(date(2026, 1, day)) for day in (1, 2))


def keyring(*keys: str) -> Keyring:
    with override_settings(TIMERS={"ENCRYPTION_KEYS": ",".join(keys)}):
        return Keyring.in_force()


def test_what_is_sealed_opens_for_its_context_only() -> None:
    ring = keyring(OLD)
    sealed = ring.seal("hünter2", "secret a")

    assert ring.open(sealed, "secret a") == "hünter2"
    assert "hünter2".encode() not in sealed.content
    with pytest.raises(Unopenable, match="changed or moved"):
        ring.open(sealed, "secret b")


def test_the_same_text_is_never_sealed_alike() -> None:
    ring = keyring(OLD)

    assert ring.seal("x", "c") != ring.seal("x", "c")


def test_older_keys_open_and_the_first_one_seals() -> None:
    sealed = keyring(OLD).seal("x", "c")
    both = keyring(NEW, OLD)

    assert both.open(sealed, "c") == "x"
    assert both.seal("x", "c").key == both.first == NEW.partition(":")[0]
    with pytest.raises(Unopenable, match="is not among TIMERS_ENCRYPTION_KEYS"):
        keyring(NEW).open(sealed, "c")


@pytest.mark.parametrize("spoilt", [b"", b"short", b"x" * 64])
def test_what_was_changed_does_not_open(spoilt: bytes) -> None:
    ring = keyring(OLD)

    with pytest.raises(Unopenable):
        ring.open(Sealed(ring.first, spoilt), "c")


def test_a_key_of_another_name_does_not_open_though_it_is_named() -> None:
    ring = keyring(NEW, OLD)
    sealed = ring.seal("x", "c")

    with pytest.raises(Unopenable):
        ring.open(Sealed(OLD.partition(":")[0], sealed.content), "c")


def test_without_a_key_it_is_said_how_to_make_one() -> None:
    with pytest.raises(NotAllowedNow, match=r"manage\.py rotatesecrets --new-key"):
        keyring().seal("x", "c")


def test_nothing_shows_a_key_or_a_value() -> None:
    ring = keyring(OLD)

    assert OLD.partition(":")[2] not in repr(ring)
    assert "content" not in repr(ring.seal("x", "c"))
