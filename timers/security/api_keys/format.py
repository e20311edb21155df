"""Application keys as text: `tk_`, a public id, `_`, a secret of 256 random bits, a checksum.

Only a digest of the secret is stored: HMAC-SHA256 with a pepper derived from Django's SECRET_KEY, so a copy of the
database alone does not permit testing keys against it. The checksum detects a mistyped or truncated key without a
database query, and lets scanners of source code recognise a leaked one; it is not a protection.
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
_SECRET_LENGTH: Final = 43  # of base 62: the fewest that represent 256 bits
_CHECKSUM_LENGTH: Final = 6  # of base 62: the fewest that represent a CRC-32
_FORM: Final = re.compile(
    rf"{PREFIX}([0-9A-Za-z]{{{PUBLIC_ID_LENGTH}}})_([0-9A-Za-z]{{{_SECRET_LENGTH}}})([0-9A-Za-z]{{{_CHECKSUM_LENGTH}}})"
)
_SALT: Final = "timers.application_key"


@dataclass(frozen=True, slots=True)
class KeyText:
    """The parts of a key; its representation omits the secret."""

    public_id: str
    secret: str = field(repr=False)

    def reveal(self) -> str:
        """Return the whole key as its holder sends it."""
        body = f"{PREFIX}{self.public_id}_{self.secret}"
        return body + _checksum(body)

    def digest(self) -> str:
        """Return the stored digest of the secret: 64 hexadecimal digits, bound to the public id of this key."""
        return self._digest(settings.SECRET_KEY)

    def matches(self, digest: str) -> bool:
        """Return whether a stored digest belongs to this key, under SECRET_KEY or one of SECRET_KEY_FALLBACKS.

        The comparison takes the same time wherever the two differ first.
        """
        peppers = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
        found = [constant_time_compare(digest, self._digest(pepper)) for pepper in peppers]
        return any(found)

    def _digest(self, pepper: str | bytes) -> str:
        value = f"{self.public_id}:{self.secret}"
        return salted_hmac(_SALT, value, secret=pepper, algorithm="sha256").hexdigest()


def new_key(public_id: str | None = None) -> KeyText:
    """Return a new key; with a public id, another secret for the key that has it."""
    return KeyText(public_id or _random_id(), _in_base_62(secrets.randbits(SECRET_BITS), _SECRET_LENGTH))


def read_key(text: str) -> KeyText | None:
    """Return the parts of a received key; None if it is not a key, or is truncated or mistyped."""
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
