"""Certificates of authorities that a call trusts instead of the system's: PEM text."""

from __future__ import annotations

import ssl
from typing import Final

from timers.exceptions import InvalidRequest

BEGIN: Final = "-----BEGIN CERTIFICATE-----"
MAX_BYTES: Final = 64 * 1024


def check_certificates(pem: str, field: str) -> None:
    """Raise InvalidRequest if the text is not one or more PEM certificates."""
    if "PRIVATE KEY" in pem:
        raise InvalidRequest(field, "holds a private key; only certificates belong here")
    if BEGIN not in pem:
        raise InvalidRequest(field, f"must be certificates in PEM, which begin with {BEGIN}")
    if len(pem) > MAX_BYTES or not pem.isascii():
        raise InvalidRequest(field, f"must be at most {MAX_BYTES:,} bytes of ASCII")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=pem)
    except (ssl.SSLError, ValueError) as error:
        raise InvalidRequest(field, f"holds no certificate that can be read: {error}") from None
