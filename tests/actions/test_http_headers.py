"""Headers that an action may not set, in every way to write them."""

from __future__ import annotations

import pytest

from timers.actions.http_auth import Auth
from timers.actions.http_headers import check_header_name, parse_headers
from timers.exceptions import InvalidRequest

NOT_THE_ACTIONS = [
    "Host", "Content-Length", "Content-Encoding", "Transfer-Encoding", "Connection", "Keep-Alive", "Upgrade",
    "TE", "Trailer", "Expect", "HTTP2-Settings", "Proxy", "Proxy-Connection", "Proxy-Authorization",
    "Proxy-Authenticate", "Forwarded", "Via", "Max-Forwards", "X-Forwarded-For", "X-Forwarded-Host",
    "X-Forwarded-Proto", "X-Forwarded-Port", "X-Forwarded-Prefix", "X-Forwarded-Server", "X-Forwarded-Ssl",
    "X-Forwarded-Protocol", "X-Forwarded-By", "X-Forwarded-Client-Cert", "X-Real-IP", "X-Client-IP",
    "X-Cluster-Client-IP", "True-Client-IP", "Client-IP", "CF-Connecting-IP", "Fastly-Client-IP",
    "X-Originating-IP", "X-Remote-IP", "X-Remote-Addr", "X-Envoy-External-Address", "Front-End-Https",
    "X-Scheme", "X-Url-Scheme", "X-Host", "X-HTTP-Host-Override", "X-Original-Host", "X-Original-URL",
    "X-Original-Forwarded-For", "X-Rewrite-URL", "X-Script-Name", "Script-Name", "Path-Info", "X-HTTP-Method",
    "X-HTTP-Method-Override", "X-Method-Override", "Authorization", "Cookie", "Sec-Fetch-Mode", "webhook-id",
    "timer-fence",
]  # fmt: skip


@pytest.mark.parametrize("name", NOT_THE_ACTIONS)
def test_a_header_that_is_not_the_actions_is_refused_however_it_is_written(name: str) -> None:
    for written in {name, name.lower(), name.upper(), name.replace("-", "_"), name.upper().replace("-", "_")}:
        with pytest.raises(InvalidRequest, match="cannot be set"):
            parse_headers({written: "1"}, "action.headers")
        with pytest.raises(InvalidRequest, match="cannot be set"):
            Auth.parse({"kind": "header", "header": written, "secret": "s"}, "action.auth")


@pytest.mark.parametrize(
    "name", ["Accept", "X-Api-Key", "appKey", "X-Request-Id", "traceparent", "Idempotency-Key", "X-Tenant"]
)
def test_headers_of_applications_are_taken(name: str) -> None:
    check_header_name(name, "action.headers")
