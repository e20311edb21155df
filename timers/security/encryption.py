"""Encryption at rest: AES-256-GCM with keys that only the settings contain (TIMERS_ENCRYPTION_KEYS).

Encrypted content is bound to a context, such as the name under which it is stored: moved to another row, it cannot be
decrypted.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from timers import conf
from timers.conf import forms
from timers.exceptions import NotAllowedNow, TimersError

NONCE_BYTES: Final = 12


class Unopenable(TimersError):
    """Encrypted content cannot be decrypted: the settings do not contain its key, or it was changed or moved."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """Encrypted bytes, and the name of the key that decrypts them."""

    key: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Keyring:
    """Keys by name; the first one encrypts, all of them decrypt."""

    _keys: Mapping[str, AESGCM] = field(repr=False)

    @classmethod
    def in_force(cls) -> Keyring:
        """Return the keys of this process's settings."""
        return _read(conf.current().encryption_keys)

    @property
    def names(self) -> list[str]:
        """The names of all keys."""
        return list(self._keys)

    @property
    def first(self) -> str:
        """The name of the key that encrypts. Raises NotAllowedNow if there is none."""
        for name in self._keys:
            return name
        raise NotAllowedNow(
            "there is no key to encrypt secrets with: make one with `manage.py rotatesecrets --new-key` and set it as "
            "TIMERS_ENCRYPTION_KEYS on all nodes and web processes"
        )

    def seal(self, plain: str, context: str) -> Sealed:
        """Encrypt a text for a context, with the first key."""
        name = self.first
        nonce = os.urandom(NONCE_BYTES)
        return Sealed(name, nonce + self._keys[name].encrypt(nonce, plain.encode(), _bound(name, context)))

    def open(self, sealed: Sealed, context: str) -> str:
        """Return the text that was encrypted for the context. Raise Unopenable."""
        key = self._keys.get(sealed.key)
        if key is None:
            raise Unopenable(f"the key {sealed.key!r} is not among TIMERS_ENCRYPTION_KEYS of this process")
        nonce, encrypted = sealed.content[:NONCE_BYTES], sealed.content[NONCE_BYTES:]
        try:
            return key.decrypt(nonce, encrypted, _bound(sealed.key, context)).decode()
        except (InvalidTag, ValueError):
            raise Unopenable(f"it does not open with the key {sealed.key!r}: it was changed or moved") from None


def new_key(today: date) -> str:
    """Return a new key in the form of the setting, named after the day and a few random letters."""
    return f"{today:%Y%m%d}-{os.urandom(2).hex()}:{base64.b64encode(os.urandom(forms.KEY_BYTES)).decode()}"


def _bound(key: str, context: str) -> bytes:
    return f"timers\x00{key}\x00{context}".encode()


@lru_cache(maxsize=4)
def _read(text: str) -> Keyring:
    return Keyring({name: AESGCM(key) for name, key in forms.encryption_keys(text).items()})
