"""Texts that many secrets contain and that are commonly known: schemes, PEM headers, names of fields in JSON and forms.

They do not reveal a structured secret (a key in PEM, the JSON of a service account, an address with a password), and
unrelated texts contain them as well.
"""

from __future__ import annotations

from typing import Final

_SCHEMES: Final = (
    "https://www.", "http://www.", "https://api.", "sftp://", "mysql://", "redis://", "rediss://", "amqps://",
    "mongodb://", "mongodb+srv://", "postgres://", "postgresql://",
)  # fmt: skip
_FIELDS: Final = (
    "access_token", "api_key", "auth_provider_x509_cert_url", "auth_uri", "client_email", "client_id", "client_secret",
    "client_x509_cert_url", "expires_in", "grant_type", "id_token", "password", "private_key", "private_key_id",
    "project_id", "redirect_uri", "refresh_token", "secret", "token", "token_type", "token_uri", "type",
    "universe_domain", "username",
)  # fmt: skip
_PEM: Final = (
    "PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "OPENSSH PRIVATE KEY", "PUBLIC KEY",
    "CERTIFICATE",
)  # fmt: skip
_VALUES: Final = (
    "Authorization: Basic ", "Authorization: Bearer ", "application/json", "grant_type=client_credentials",
    '"type": "service_account"', '"token_type": "Bearer"', "https://accounts.google.com/o/oauth2/auth",
    "https://oauth2.googleapis.com/token", "https://www.googleapis.com/oauth2/v1/certs",
    "https://www.googleapis.com/robot/v1/metadata/x509/", ".iam.gserviceaccount.com", '"googleapis.com"',
    '{"alg":"HS256","typ":"JWT"}', '{"typ":"JWT","alg":"HS256"}', '{"alg":"RS256","typ":"JWT"',
    '{"typ":"JWT","alg":"RS256"', '{"alg":"ES256","typ":"JWT"',
)  # fmt: skip

FRAGMENTS: Final = (
    *_SCHEMES,
    *(
        form.format(name)
        for name in _FIELDS
        for form in ('{{"{}": "', '", "{}": "', '","{}":"', '",\n  "{}": "', "&{}=")
    ),
    *(f"-----{side} {kind}-----\n" for kind in _PEM for side in ("BEGIN", "END")),
    *_VALUES,
)
