"""Application keys as text: `tk_`, a public id, `_`, a secret of 256 random bits, a checksum.

Only a digest of the secret is kept: HMAC-SHA256 under a pepper that is derived from Django's SECRET_KEY, so a copy of
the database alone lets nobody try keys against it. The checksum tells a key that was mistyped or cut off without asking
the database, and lets scanners of source code recognise a leaked one; it is no protection.
"""

from __future__ import annotations

import re
import secrets
import string
import zlib
from dataclasses import dataclass, field
from typing import Final

from django.conf import settings
from django.utils.crypto import constant_time_compare, salted_hmac

from timers.models.application_key import PREFIX, PUBLIC_ID_LENGTH

SECRET_BITS: Final = 256

_DIGITS: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
_SECRET_LENGTH: Final = 43  # of base 62: the fewest that hold 256 bits
_CHECKSUM_LENGTH: Final = 6  # of base 62: the fewest that hold a CRC-32
_FORM: Final = re.compile(
    rf"{PREFIX}([0-9A-Za-z]{{{PUBLIC_ID_LENGTH}}})_([0-9A-Za-z]{{{_SECRET_LENGTH}}})([0-9A-Za-z]{{{_CHECKSUM_LENGTH}}})"
)
_SALT: Final = "timers.application_key"


@dataclass(frozen=True, slots=True)
class KeyText:
    """The parts of a key; the secret never shows itself."""

    public_id: str
    secret: str = field(repr=False)

    def reveal(self) -> str:
        """The whole key as its holder sends it."""
        body = f"{PREFIX}{self.public_id}_{self.secret}"
        return body + _checksum(body)

    def digest(self) -> str:
        """What is kept of the secret: 64 hexadecimal digits. Bound to the public id, so it fits no other key's row."""
        return self._digest(settings.SECRET_KEY)

    def matches(self, digest: str) -> bool:
        """Whether a kept digest is that of this key, under SECRET_KEY or one of SECRET_KEY_FALLBACKS.

        Takes the same time wherever the two begin to differ.
        """
        peppers = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
        found = [constant_time_compare(digest, self._digest(pepper)) for pepper in peppers]
        return any(found)

    def _digest(self, pepper: str | bytes) -> str:
        value = f"{self.public_id}:{self.secret}"
        return salted_hmac(_SALT, value, secret=pepper, algorithm="sha256").hexdigest()


def new_key(public_id: str | None = None) -> KeyText:
    """A fresh key; with a public id, another secret for the key that has it."""
    return KeyText(public_id or _random_id(), _in_base_62(secrets.randbits(SECRET_BITS), _SECRET_LENGTH))


def read_key(text: str) -> KeyText | None:
    """The parts of a key that was sent; None for what is no key, is cut off or mistyped."""
    found = _FORM.fullmatch(text)
    if found is None:
        return None
    public_id, secret, checksum = found.groups()
    body = text[:-_CHECKSUM_LENGTH]
    return KeyText(public_id, secret) if _checksum(body) == checksum else None


def _random_id() -> str:
    return "".join(secrets.choice(_DIGITS) for _ in range(PUBLIC_ID_LENGTH))


def _checksum(body: str) -> str:
    return _in_base_62(zlib.crc32(body.encode()), _CHECKSUM_LENGTH)


def _in_base_62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, rest = divmod(number, 62)
        digits.append(_DIGITS[rest])
    return "".join(reversed(digits))
