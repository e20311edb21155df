"""Authentication of a call by a named secret. Actions contain no passwords or tokens."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from timers.actions.http_headers import check_header_name
from timers.domain.errors import ErrorCollector, unknown
from timers.exceptions import InvalidRequest

KINDS: Final = {
    "basic": ("username", "secret"),
    "bearer": ("secret",),
    "header": ("header", "secret"),
}
"""Kinds and their fields: user and password, a bearer token, or a header of any name."""

_EVERY_FIELD: Final = ("username", "header", "secret")
_BY_VALUE: Final = frozenset({"password", "token", "key", "value", "appkey", "api_key"})
_EXAMPLE: Final = '{"kind": "bearer", "secret": "name of a secret"}'
SECRET_NAME_LENGTH: Final = 200


@dataclass(frozen=True, slots=True)
class Auth:
    """Credentials of a call: a header built from the value of a secret."""

    kind: str
    secret: str
    username: str = ""
    header_name: str = ""

    @classmethod
    def parse(cls, spec: Any, field: str) -> Auth:
        """Parse `{"kind": "basic", "username": ..., "secret": name}` and the like. Raises InvalidRequest."""
        if not isinstance(spec, Mapping):
            raise InvalidRequest(field, f"must be an object such as {_EXAMPLE}")
        mistakes = ErrorCollector()
        kind = spec.get("kind")
        if not isinstance(kind, str) or kind not in KINDS:
            mistakes.add(InvalidRequest(f"{field}.kind", f"must be one of {', '.join(KINDS)}", given=kind))
            kind = ""
        fields = KINDS.get(kind, _EVERY_FIELD)
        for key in spec:
            if str(key).lower() in _BY_VALUE:
                words = "must not stand in an action: keep it as a secret and give its name as secret"
                mistakes.add(InvalidRequest(f"{field}.{key}", words))
            elif key not in (*fields, "kind"):
                mistakes.add(unknown(key, fields, within=f"{field}.", where=f"for {kind}" if kind else ""))
        mistakes.check(lambda: check_secret_name(spec.get("secret"), f"{field}.secret"))
        if kind == "basic":
            mistakes.check(lambda: _check_username(spec.get("username"), f"{field}.username"))
        if kind == "header":
            mistakes.check(lambda: check_header_name(spec.get("header"), f"{field}.header"))
        mistakes.raise_if_any()
        return cls(kind, spec["secret"], spec.get("username", ""), spec.get("header", ""))

    def to_spec(self) -> dict[str, str]:
        """Return the JSON form that parse reads."""
        values = {"kind": self.kind, "username": self.username, "header": self.header_name, "secret": self.secret}
        return {key: value for key, value in values.items() if value}

    def header(self, value: str) -> tuple[str, str]:
        """Return the header that contains the secret's value. Raises ValueError if a header cannot contain it."""
        if self.kind == "basic":
            return "Authorization", f"Basic {base64.b64encode(f'{self.username}:{value}'.encode()).decode()}"
        if not value.isascii() or not value.isprintable():
            raise ValueError("it holds characters that cannot go into a header")
        return ("Authorization", f"Bearer {value}") if self.kind == "bearer" else (self.header_name, value)


def check_secret_name(name: Any, field: str) -> str:
    """Validate the name of a secret. Raises InvalidRequest."""
    if not isinstance(name, str) or not 1 <= len(name) <= SECRET_NAME_LENGTH or not name.isprintable():
        raise InvalidRequest(field, "must be the name of a secret", given=name)
    return name


def _check_username(name: Any, field: str) -> None:
    if not isinstance(name, str) or not 1 <= len(name) <= 255 or not name.isprintable() or ":" in name:
        raise InvalidRequest(
            field, "must be text of 1 to 255 characters without colons or control characters", given=name
        )
