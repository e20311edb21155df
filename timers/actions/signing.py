"""Signatures of webhooks by the Standard Webhooks specification, version 1 (standardwebhooks.com).

The signed text is `id.timestamp.body`, with HMAC-SHA256; the key is 24 to 64 random bytes, written as `whsec_` and
base64. While a key is being changed, the header contains a signature by each key, and the receiver accepts either.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import os
from collections.abc import Iterable
from typing import Any, Final

from timers.exceptions import InvalidRequest

PREFIX: Final = "whsec_"
SHORTEST, LONGEST, USUAL = 24, 64, 32


def new_signing_secret() -> str:
    """Create a random key in the written form that the receiver must be given."""
    return PREFIX + base64.b64encode(os.urandom(USUAL)).decode()


def signing_key(secret: Any, field: str = "value") -> bytes:
    """Return the bytes of a key in its written form. Raises InvalidRequest, which never repeats the key."""
    if isinstance(secret, str) and secret.startswith(PREFIX):
        try:
            key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if SHORTEST <= len(key) <= LONGEST:
            return key
    raise InvalidRequest(
        field, f"must be {PREFIX} and {SHORTEST} to {LONGEST} bytes in base64; leave it out to have one made"
    )


def signature(keys: Iterable[bytes], message_id: str, timestamp: int, body: bytes) -> str:
    """Return the value of `webhook-signature`: one signature per key. `timestamp`: seconds since 1970 UTC."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    return " ".join(f"v1,{base64.b64encode(hmac.digest(key, signed, 'sha256')).decode()}" for key in keys)
