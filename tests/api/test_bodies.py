"""What a body may be, whatever the address: bounds, media type, strict JSON; and what every answer has."""

from __future__ import annotations

import gzip
import json
import re
import tracemalloc

import pytest

from tests.api.asking import Asking, fields, problem
from timers.models import TimerGroup
from timers.security.request_id import WithRequestId

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "malformed"),
        (b"\xef\xbb\xbf{}", 400, "malformed"),
        (b'{"name": "a", "name": "b"}', 400, "malformed"),
        (b'{"name": NaN}', 400, "malformed"),
        (b'{"name": "\\u0000"}', 422, "invalid"),
        (b'{"name": "\\ud800"}', 422, "invalid"),
        (b"[" * 100_000, 400, "malformed"),
        (b'{"name":' + b"[" * 60 + b"]" * 60 + b"}", 422, "invalid"),
        (b'{"name": "' + b"x" * 262_144 + b'"}', 413, "too_large"),
        (b"[]", 422, "invalid"),
        (b'"text"', 422, "invalid"),
        (b"null", 422, "invalid"),
        (b"", 422, "invalid"),
    ],
    ids=range(13),
)
def test_a_body_that_cannot_be_taken_is_refused_as_what_it_is(body: bytes, status: int, code: str, api: Asking) -> None:
    problem(api("POST", "/groups", body), status, code)
    assert not TimerGroup.objects.exists()


@pytest.mark.parametrize(
    "media_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""]
)
def test_what_is_not_sent_as_json_is_refused(media_type: str, api: Asking) -> None:
    problem(api("POST", "/groups", b'{"name": "a"}', Content_Type=media_type), 415, "media_type")


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "deflate", "br", "identity, gzip", "x"])
def test_a_compressed_body_is_refused_whatever_it_holds(encoding: str, api: Asking) -> None:
    for body in (gzip.compress(b'{"name": "a"}'), b'{"name": "a"}'):
        said = problem(api("POST", "/groups", body, Content_Encoding=encoding), 415, "media_type")
        assert "compressed" in said["detail"]
    assert not TimerGroup.objects.exists()


def test_a_body_that_is_compressed_without_saying_so_is_no_json(api: Asking) -> None:
    problem(api("POST", "/groups", gzip.compress(b'{"name": "a"}')), 400, "malformed")


def test_a_body_that_would_unpack_to_very_much_is_refused_as_it_is(api: Asking) -> None:
    bomb = gzip.compress(b"[" * 64 * 1024 * 1024)
    assert len(bomb) < 100_000
    for path, headers in (("/groups", {}), ("/groups/none/timers/bulk", {"Content_Type": "application/x-ndjson"})):
        tracemalloc.start()
        try:
            problem(api("POST", path, bomb, Content_Encoding="gzip", **headers), 415, "media_type")
            _, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert most < 2 * 1024 * 1024


def test_what_has_no_body_has_none_that_is_compressed(api: Asking) -> None:
    for method, path, status in (("GET", "/groups", 200), ("HEAD", "/groups", 200), ("DELETE", "/groups/none", 404)):
        assert api(method, path, Content_Encoding="gzip").status_code == status
    assert api("POST", "/groups", b'{"name": "a"}', Content_Encoding="identity").status_code == 201


def test_a_length_that_is_no_number_is_refused(api: Asking) -> None:
    for length in ("-1", "1e3", "٣", "1_0"):
        response = api.client.generic("GET", "/api/v1/groups", CONTENT_LENGTH=length)
        assert response.status_code in {400, 401}


def test_a_body_without_its_length_is_taken_where_the_server_ends_it_and_else_refused(api: Asking) -> None:
    response = api("POST", "/groups", b"", Transfer_Encoding="chunked")
    problem(response, 411, "length_required")


def test_the_log_is_found_by_the_request_id(api: Asking, caplog: pytest.LogCaptureFixture) -> None:
    caplog.handler.addFilter(WithRequestId())
    api("GET", "/groups/none", X_Request_Id="order-4711")
    Asking(client=api.client).client.get("/nowhere")
    ids = {record.getMessage(): getattr(record, "request_id", "") for record in caplog.records}
    assert ids == {"Not Found: /api/v1/groups/none": "order-4711", "Not Found: /nowhere": ""}


def test_every_answer_has_a_request_id_which_may_be_the_callers_own(api: Asking) -> None:
    assert re.fullmatch("[0-9a-f]{32}", api("GET", "/groups").headers["X-Request-Id"])
    assert api("GET", "/groups", X_Request_Id="order-4711").headers["X-Request-Id"] == "order-4711"
    assert api("GET", "/groups", X_Request_Id="a b\tc").headers["X-Request-Id"] != "a b\tc"
    said = problem(api("GET", "/nothing", X_Request_Id="order-4711"), 404, "not_found")
    assert said["request_id"] == "order-4711"


def test_a_method_that_an_address_does_not_know_is_told_which_it_knows(api: Asking) -> None:
    response = api("DELETE", "/groups")
    problem(response, 405, "method_not_allowed")
    assert set(response.headers["Allow"].split(", ")) == {"GET", "POST"}
    problem(api("TRACE", "/groups"), 405, "method_not_allowed")
    problem(api("BREW", "/groups"), 405, "method_not_allowed")


def test_head_answers_as_get_does_without_the_body(api: Asking) -> None:
    for path in ("/groups", "/groups/none", "/me"):
        whole, head = api("GET", path, X_Request_Id="a"), api("HEAD", path, X_Request_Id="a")
        assert (head.status_code, head.content) == (whole.status_code, b"")
        assert head.headers["Content-Length"] == str(len(whole.content))
        assert head.headers["Content-Type"] == whole.headers["Content-Type"]
    assert api("HEAD", "/claims/commit").status_code == 405
    assert api.client.head("/livez").headers["Content-Length"] == "3"


def test_no_other_site_may_read_the_answers(api: Asking) -> None:
    response = api("GET", "/groups", Origin="https://evil.example")
    assert not [name for name in response.headers if name.lower().startswith("access-control")]
    assert response.headers["Cache-Control"] == "no-store"


def test_plain_http_is_refused_where_https_is_served(api: Asking, settings: pytest.FixtureRequest) -> None:
    settings.SECURE_SSL_REDIRECT = True  # type: ignore[attr-defined]
    problem(api("GET", "/groups"), 403, "forbidden")
    assert api("GET", "/groups", X_Forwarded_Proto="https").status_code == 403


def test_a_failure_that_nobody_foresaw_says_nothing_of_what_is_inside(
    api: Asking, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*args: object, **kwargs: object) -> None:
        raise RuntimeError("secret/path.py")

    monkeypatch.setattr("timers.api.groups.create_group", broken)
    response = api("POST", "/groups", {"name": "a"})
    said = problem(response, 500, "failed")
    assert "secret" not in json.dumps(said) and "RuntimeError" not in json.dumps(said)
    assert "secret/path.py" in caplog.text


def test_all_mistakes_of_a_body_are_told_at_once(api: Asking) -> None:
    wrong = {"name": "", "shards": 0, "misfire_policy": "perhaps", "retry": {"max_retries": -1}, "colour": "red"}
    said = problem(api("POST", "/groups", wrong), 422, "invalid")
    assert set(fields(said)) >= {"shards", "misfire_policy", "retry.max_retries", "colour"}
