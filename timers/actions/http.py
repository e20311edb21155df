"""The http action: call a URL with the envelope, or with a content built from it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

from timers.actions.action import Action, register
from timers.actions.addresses import Address
from timers.actions.certificates import BEGIN, check_certificates
from timers.actions.egress import Egress
from timers.actions.http_auth import Auth, check_secret_name
from timers.actions.http_content import Template
from timers.actions.http_headers import Headers, parse_headers
from timers.actions.target import SCHEMES, Target, parse_host
from timers.domain.errors import ErrorCollector, Value, nearest
from timers.exceptions import InvalidRequest
from timers.schedules.duration import parse_seconds

METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
WITH_ENVELOPE: Final = frozenset({"POST", "PUT", "PATCH"})
"""Methods that send the envelope if no content is given."""
TIMEOUT: Final = 15.0
"""Default timeout in seconds."""
MAX_TIMEOUT: Final = 3600.0
SUCCESS: Final = ((200, 299),)

_CODES: Final = re.compile(r"([1-5][0-9]{2})(?:\s*-\s*([1-5][0-9]{2}))?")
_FIELDS: Final = (
    "kind", "method", "url", "headers", "content", "timeout", "proxy", "ignore_tls_errors", "ca_bundle", "auth",
    "success_codes", "sign", "keep_response",
)  # fmt: skip
_ALSO_CALLED: Final = {
    "body": "content", "payload": "content", "json": "content", "verify": "ignore_tls_errors",
    "ignoreSSLErrors": "ignore_tls_errors", "proxyHost": "proxy", "proxyPort": "proxy", "proxyScheme": "proxy",
    "useProxy": "proxy", "username": "auth", "password": "auth", "secret": "sign",
}  # fmt: skip
_NEVER: Final = {
    "withCookies": "cookies are always off",
    "useNTLM": "NTLM is not spoken",
    "domain": "NTLM is not spoken",
    "workstation": "NTLM is not spoken",
    "follow_redirects": "redirects are never followed",
}

NOWHERE: Final = Target("https", "", 443, "/")
"""Placeholder for a URL that could not be parsed, while the rest of an action is validated."""


@register
@dataclass(frozen=True, slots=True)
class HttpAction(Action):
    """Call a URL; the attempt succeeds if the status code is among the success codes."""

    kind: ClassVar[str] = "http"
    summary: ClassVar[str] = "call a URL"
    example: ClassVar[Mapping[str, Any]] = {"kind": "http", "url": "https://example.org/hook"}

    target: Target
    method: str = "POST"
    headers: Headers = ()
    content: Template | None = None
    """Content of the request; None: the envelope, for methods that send one."""
    no_content: bool = False
    timeout: float | None = None
    """Seconds that an attempt may take in total; None: TIMEOUT, or the group's attempt_timeout."""
    proxy: Target | None = None
    ignore_tls_errors: bool = False
    ca_bundle: str | None = None
    """Certificates to trust instead of the system's: PEM text, or the name of a secret that contains it."""
    auth: Auth | None = None
    success_codes: tuple[tuple[int, int], ...] = SUCCESS
    sign: str | None = None
    """Name of the signing secret."""
    keep_response: bool = True
    entry_key: str = field(default="", repr=False)
    """Key of the installation's own handler endpoint, for a call of it; not part of the JSON form."""

    @classmethod
    def parse(cls, spec: Mapping[str, Any]) -> HttpAction:
        """Parse the JSON form, such as `{"kind": "http", "url": ...}`. Raises InvalidRequest that names every error."""
        mistakes = ErrorCollector()
        action = cls.read(spec, mistakes)
        mistakes.raise_if_any()
        return action

    @classmethod
    def read(cls, spec: Mapping[str, Any], mistakes: ErrorCollector) -> HttpAction:
        """Read the JSON form. Errors are collected and invalid fields left out, so that the rest can be validated."""
        for name in spec:
            if name not in _FIELDS:
                mistakes.add(_unknown(str(name)[:64]))

        def checked(name: str, read: Callable[[Any, str], Value], absent: Value) -> Value:
            if name not in spec:
                return absent
            return mistakes.check(lambda: read(spec[name], f"action.{name}"), absent)

        no_content = "content" in spec and spec["content"] is None
        if "url" not in spec:
            mistakes.add(InvalidRequest("action.url", "is missing: an http action needs it"))
        action = cls(
            target=checked("url", Target.parse, NOWHERE),
            method=checked("method", _method, "POST"),
            headers=checked("headers", parse_headers, ()),
            content=None if no_content else checked("content", Template.parse, None),
            no_content=no_content,
            timeout=checked("timeout", _or_none(_timeout), None),
            proxy=checked("proxy", _or_none(_proxy), None),
            ignore_tls_errors=checked("ignore_tls_errors", _flag, False),
            ca_bundle=checked("ca_bundle", _or_none(_ca_bundle), None),
            auth=checked("auth", _or_none(Auth.parse), None),
            success_codes=checked("success_codes", _success_codes, SUCCESS),
            sign=checked("sign", _or_none(check_secret_name), None),
            keep_response=checked("keep_response", _flag, True),
        )
        action._note_clashes(mistakes)
        return action

    def to_spec(self) -> dict[str, Any]:
        """Return the JSON form that parse reads, with the fields that differ from the defaults."""
        spec: dict[str, Any] = {"kind": self.kind, "method": self.method, "url": self.target.url}
        if self.headers:
            spec["headers"] = dict(self.headers)
        if self.content is not None or self.no_content:
            spec["content"] = None if self.content is None else self.content.value
        if self.timeout is not None:
            spec["timeout"] = self.timeout
        if self.proxy is not None:
            spec["proxy"] = {
                "scheme": self.proxy.scheme, "host": self.proxy.bracketed_host, "port": self.proxy.port,
            }  # fmt: skip
        if self.auth is not None:
            spec["auth"] = self.auth.to_spec()
        if self.success_codes != SUCCESS:
            spec["success_codes"] = _codes_in_words(self.success_codes)
        spec |= {"ignore_tls_errors": True} if self.ignore_tls_errors else {}
        spec |= {"ca_bundle": self.ca_bundle} if self.ca_bundle is not None else {}
        spec |= {"sign": self.sign} if self.sign is not None else {}
        spec |= {"keep_response": False} if not self.keep_response else {}
        return spec

    @property
    def name(self) -> str:
        """Name for statistics: calls of one target are grouped together."""
        return f"http {self.target.place}"

    @property
    def lane(self) -> str:
        """Target whose concurrent calls are limited; through a user's proxy, the proxy."""
        return (self.proxy or self.target).place

    @property
    def words(self) -> str:
        """Short description of the action, without the query, which may contain more than a list should show."""
        return f"{self.method} {self.target.url.partition('?')[0]}"

    @property
    def is_async(self) -> bool:
        """True: calls are made on the event loop."""
        return True

    def resolve(self) -> HttpAction:
        """Return itself: it is the call to make."""
        return self

    @property
    def sends_envelope(self) -> bool:
        """Whether the content is the unchanged envelope."""
        return self.content is None and not self.no_content and self.method in WITH_ENVELOPE

    @property
    def ca_secret(self) -> str | None:
        """Name of the secret that contains the certificates, if they are not given directly."""
        return None if self.ca_bundle is None or BEGIN in self.ca_bundle else self.ca_bundle

    def is_success(self, status: int) -> bool:
        """Return whether the attempt succeeded with this status code."""
        return any(low <= status <= high for low, high in self.success_codes)

    def secrets(self) -> list[tuple[str, str, str]]:
        """Return the secrets that it refers to: field, name, and required kind."""
        return [
            (field, name, kind)
            for field, name, kind in (
                ("action.auth.secret", None if self.auth is None else self.auth.secret, "text"),
                ("action.sign", self.sign, "signing"),
                ("action.ca_bundle", self.ca_secret, "certificates"),
            )
            if name is not None
        ]

    def check_egress(self, rules: Egress) -> None:
        """Raise InvalidRequest for what the egress guard would refuse at every attempt."""
        mistakes = ErrorCollector()
        for name, reason in (
            ("action.url", None if self.target is NOWHERE else rules.why_refused_target(self.target)),
            ("action.proxy", None if self.proxy is None else rules.why_refused_proxy(self.proxy)),
        ):
            if reason is not None:
                mistakes.add(InvalidRequest(name, reason))
        mistakes.raise_if_any()

    def _note_clashes(self, mistakes: ErrorCollector) -> None:
        if self.ignore_tls_errors and self.ca_bundle is not None:
            mistakes.add(InvalidRequest("action.ca_bundle", "is of no use with ignore_tls_errors; give one of them"))
        if self.content is not None and self.method == "HEAD":
            mistakes.add(InvalidRequest("action.content", "cannot be sent with HEAD"))
        if self.auth is not None and self.auth.header_name:
            name = self.auth.header_name.lower()
            if any(name == given.lower() for given, _ in self.headers):
                mistakes.add(InvalidRequest("action.auth.header", "is among headers too; leave it out there"))


def _unknown(name: str) -> InvalidRequest:
    if name in _NEVER:
        return InvalidRequest(f"action.{name}", f"is not known: {_NEVER[name]}")
    near = _ALSO_CALLED.get(name) or nearest(name, _FIELDS)
    hint = f"did you mean {near}?" if near else f"an http action has {', '.join(_FIELDS[1:])}"
    return InvalidRequest(f"action.{name}", f"is not known; {hint}")


def _or_none(read: Callable[[Any, str], Value]) -> Callable[[Any, str], Value | None]:
    return lambda given, field: None if given is None else read(given, field)


def _method(given: Any, field: str) -> str:
    if not isinstance(given, str) or given.upper() not in METHODS:
        raise InvalidRequest(field, f"must be one of {', '.join(METHODS)}", given=given)
    return given.upper()


def _flag(given: Any, field: str) -> bool:
    if not isinstance(given, bool):
        raise InvalidRequest(field, "must be true or false", given=given)
    return given


def _timeout(given: Any, field: str) -> float:
    return parse_seconds(given, field, at_least=0.1, at_most=MAX_TIMEOUT)


def _proxy(given: Any, field: str) -> Target:
    if not isinstance(given, Mapping):
        raise InvalidRequest(
            field, 'must be an object such as {"scheme": "http", "host": "proxy.example.org", "port": 3128}'
        )
    mistakes = ErrorCollector()
    mistakes.refuse_unknown(given, ("scheme", "host", "port"), within=f"{field}.")
    scheme, host, port = given.get("scheme", "http"), given.get("host"), given.get("port")
    if not isinstance(scheme, str) or scheme not in SCHEMES:
        mistakes.add(InvalidRequest(f"{field}.scheme", "must be http or https", given=scheme))
    if isinstance(port, bool) or not isinstance(port, int) or not 1 <= port <= 65535:
        mistakes.add(InvalidRequest(f"{field}.port", "must be a number from 1 to 65535", given=port))
    name, address = mistakes.check(lambda: _proxy_host(host, f"{field}.host"), ("", None))
    mistakes.raise_if_any()
    return Target(scheme, name, given["port"], "/", address)


def _proxy_host(given: Any, field: str) -> tuple[str, Address | None]:
    if not isinstance(given, str):
        raise InvalidRequest(field, "must be a host such as proxy.example.org", given=given)
    return parse_host(given, field)


def _ca_bundle(given: Any, field: str) -> str:
    if isinstance(given, str) and "-----" in given:
        check_certificates(given, field)
        return given
    return check_secret_name(given, field)


def _success_codes(given: Any, field: str) -> tuple[tuple[int, int], ...]:
    parts = given.split(",") if isinstance(given, str) else given
    if not isinstance(parts, (list, tuple)) or not 1 <= len(parts) <= 50:
        raise InvalidRequest(field, 'must be a list such as [200, "202-204"]', given=given)
    spans = []
    for part in parts:
        found = None if isinstance(part, bool) else _CODES.fullmatch(str(part).strip())
        if found is None or int(found[2] or found[1]) < int(found[1]):
            raise InvalidRequest(
                field, 'holds what is no code from 100 to 599 and no span such as "200-299"', given=part
            )
        spans.append((int(found[1]), int(found[2] or found[1])))
    return tuple(spans)


def _codes_in_words(spans: tuple[tuple[int, int], ...]) -> list[int | str]:
    return [low if low == high else f"{low}-{high}" for low, high in spans]
