from __future__ import annotations

from typing import Any

import pytest

from tests.support.certificates import Authority
from timers.actions import parse
from timers.actions.http import HttpAction
from timers.exceptions import InvalidRequest

URL = "https://api.example.org/hook"


def http(**fields: Any) -> HttpAction:
    return HttpAction.parse({"kind": "http", "url": URL, **fields})


def problems(**fields: Any) -> dict[str, str]:
    with pytest.raises(InvalidRequest) as refused:
        http(**fields)
    return {problem.field.removeprefix("action."): problem.message for problem in refused.value.problems}


def test_a_url_is_enough() -> None:
    action = http()

    assert (action.method, action.timeout, action.keep_response, action.sends_envelope) == ("POST", None, True, True)
    assert action.is_success(200)
    assert action.is_success(299)
    assert not action.is_success(302)
    assert action.to_spec() == {"kind": "http", "method": "POST", "url": URL}
    assert action.handler is None


@pytest.fixture(scope="module")
def pem() -> str:
    return Authority().pem


def test_every_option_comes_back_as_it_was_given(pem: str) -> None:
    spec = {
        "kind": "http",
        "method": "PUT",
        "url": "https://api.example.org:8443/orders?x=1",
        "headers": {"Accept": "application/json", "X-Tab": "a\tb"},
        "content": {"order": "{{Payload.order}}", "try": "{{NumberOfTry}} of {{Name}}"},
        "timeout": 2.5,
        "proxy": {"scheme": "http", "host": "proxy.example.org", "port": 3128},
        "ca_bundle": pem,
        "auth": {"kind": "basic", "username": "me", "secret": "billing password"},
        "success_codes": [200, "202-204"],
        "sign": "billing key",
        "keep_response": False,
    }

    action = HttpAction.parse(spec)

    assert action.to_spec() == spec
    assert HttpAction.parse(action.to_spec()) == action
    assert hash(action) == hash(HttpAction.parse(spec))
    assert action.secrets() == [
        ("action.auth.secret", "billing password", "text"),
        ("action.sign", "billing key", "signing"),
    ]


@pytest.mark.parametrize(
    "auth",
    [
        {"kind": "bearer", "secret": "token"},
        {"kind": "header", "header": "appKey", "secret": "thingworx key"},
        {"kind": "basic", "username": "u", "secret": "p"},
    ],
)
def test_credentials_refer_to_a_secret(auth: dict[str, str]) -> None:
    action = http(auth=auth, ca_bundle="in-house authority")

    assert action.to_spec()["auth"] == auth
    assert action.secrets()[1] == ("action.ca_bundle", "in-house authority", "certificates")


def test_null_is_no_content_and_absent_is_the_envelope() -> None:
    assert not http(content=None).sends_envelope
    assert http(content=None).to_spec()["content"] is None
    assert not http(method="get").sends_envelope
    assert http(content=["{{Payload}}"]).to_spec()["content"] == ["{{Payload}}"]


def test_every_problem_is_named_at_once() -> None:
    found = problems(
        url="http://127.1/", method="TRACE", headers={"Host": "x", "A B": "y"}, content="{{Nam}}", timeout=0,
        proxy={"host": "p", "port": 0, "user": "x"}, ignore_tls_errors="yes", ca_bundle="-----BEGIN",
        auth={"kind": "digest"}, success_codes=[99], sign="", keep_response=1, retries=3,
    )  # fmt: skip

    assert set(found) == {
        "url", "method", "headers.Host", "headers", "content", "timeout", "proxy.port", "proxy.user",
        "ignore_tls_errors", "ca_bundle", "auth.kind", "auth.secret", "success_codes", "sign", "keep_response",
        "retries",
    }  # fmt: skip
    assert "did you mean Name?" in found["content"]


@pytest.mark.parametrize(
    ("field", "says"),
    [
        ("body", "did you mean content?"),
        ("ignoreSSLErrors", "did you mean ignore_tls_errors?"),
        ("proxyHost", "did you mean proxy?"),
        ("header", "did you mean headers?"),
        ("withCookies", "cookies are always off"),
        ("useNTLM", "NTLM is not spoken"),
        ("follow_redirects", "redirects are never followed"),
        ("xyz", "an http action has method, url"),
    ],
)
def test_an_unknown_field_is_answered_with_the_one_that_was_meant(field: str, says: str) -> None:
    assert says in problems(**{field: 1})[field]


def test_a_password_or_token_in_an_action_is_refused_and_not_repeated() -> None:
    found = problems(auth={"kind": "basic", "username": "me", "password": "hunter2"}, headers={"Authorization": "x"})

    assert "keep it as a secret" in found["auth.password"]
    assert "hunter2" not in str(found)
    assert "give credentials as auth" in found["headers.Authorization"]


@pytest.mark.parametrize(
    "headers",
    [
        {"X": "a\r\nY: b"},
        {"X": "a\nb"},
        {"X": "a\x00b"},
        {"X": "\u010a"},
        {"X": "caf\u00e9"},
        {"X": " a"},
        {"X": "a "},
        {"X": "a" * 65_536},
        {"X": 1},
        {"X": None},
        {"X Y": "a"},
        {"X:": "a"},
        {"X\r\n": "a"},
        {"": "a"},
        {"X" * 101: "a"},
        {"\u010a": "a"},
        {"x-a": "1", "X-A": "2"},
        {"Content-Length": "5"},
        {"transfer-ENCODING": "chunked"},
        {"Connection": "close"},
        {"Host": "inside"},
        {"Cookie": "a=b"},
        {"webhook-id": "mine"},
        {"Webhook-Signature": "v1,x"},
        {"timer-fence": "1"},
        {"Proxy-Authorization": "Basic x"},
        {f"X-{number}": "a" for number in range(51)},
        {f"X-{number}": "a" * 4000 for number in range(3)},
        ["X: a"],
        "X: a",
    ],
)
def test_a_header_that_cannot_be_sent_is_refused(headers: object) -> None:
    assert all(field.startswith("headers") for field in problems(headers=headers))


def test_what_contradicts_itself_is_refused(pem: str) -> None:
    assert set(problems(ignore_tls_errors=True, ca_bundle=pem)) == {"ca_bundle"}
    assert set(problems(method="HEAD", content={"a": 1})) == {"content"}
    auth = {"kind": "header", "header": "appKey", "secret": "s"}
    assert set(problems(headers={"APPKEY": "x"}, auth=auth)) == {"auth.header"}


def test_a_private_key_among_certificates_is_refused_and_not_repeated() -> None:
    found = problems(ca_bundle="-----BEGIN PRIVATE KEY-----\nMIGH\n-----END PRIVATE KEY-----")

    assert "private key" in found["ca_bundle"]
    assert "MIGH" not in str(found)


@pytest.mark.parametrize("codes", ["200-299,304", [200, 304], ["200 - 204"], (201,)])
def test_success_codes_are_numbers_and_spans(codes: object) -> None:
    assert http(success_codes=codes).is_success(201) is (codes != [200, 304])


@pytest.mark.parametrize("codes", [[], "", [True], ["299-200"], [600], ["2xx"], 200, {"200": 1}, ["200-"]])
def test_what_is_no_code_is_refused(codes: object) -> None:
    assert set(problems(success_codes=codes)) == {"success_codes"}


def test_the_registry_knows_both_kinds() -> None:
    assert isinstance(parse({"kind": "http", "url": URL}), HttpAction)
    assert parse({"handler": "a.b"}).handler == "a.b"
    with pytest.raises(InvalidRequest, match="python, http"):
        parse({"kind": "smtp"})


def test_a_timeout_may_be_an_iso_duration_and_is_told_in_seconds() -> None:
    assert http(timeout="PT1M30S").to_spec()["timeout"] == 90
