from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from io import StringIO

import pytest
from django.core.exceptions import BadRequest, PermissionDenied, SuspiciousOperation
from django.core.handlers.exception import convert_exception_to_response
from django.http import HttpRequest, HttpResponse
from django.http.multipartparser import MultiPartParserError
from django.test import RequestFactory

from timerproject.log_lines import JsonLine, ToldByWhoAnswered, WithoutTracebackOfRefusal, configuration
from timers.security.request_id import WithRequestId, current_request_id


def record(message: str, *args: object, **more: object) -> logging.LogRecord:
    made = logging.LogRecord("timers.worker", logging.WARNING, __file__, 1, message, args, None)
    vars(made).update(more)
    return made


def test_a_line_is_one_object_with_what_the_caller_added() -> None:
    text = JsonLine().format(record("late by %d ms\nreally", 12, node="a", timer=object()))
    assert "\n" not in text
    line = json.loads(text)
    assert (line["level"], line["logger"], line["message"]) == ("warning", "timers.worker", "late by 12 ms\nreally")
    assert line["node"] == "a"
    assert line["time"].endswith("+00:00")
    assert "args" not in line


def test_a_traceback_is_part_of_its_line() -> None:
    failed = record("failed")
    try:
        raise ValueError("the reason")
    except ValueError:
        failed.exc_info = sys.exc_info()
    assert "ValueError: the reason" in json.loads(JsonLine().format(failed))["traceback"]


def test_a_line_of_a_request_has_its_id_in_text_and_in_json() -> None:
    settings = configuration("text", "INFO")
    text = logging.Formatter(settings["formatters"]["text"]["format"])
    of_request, other = record("refused"), record("late")
    for request_id, line in (("order-7", of_request), ("", other)):
        current_request_id.set(request_id)
        assert WithRequestId().filter(line)
    assert "timers.worker [order-7]: refused" in text.format(of_request)
    assert "timers.worker: late" in text.format(other)
    assert json.loads(JsonLine().format(of_request))["request_id"] == "order-7"
    assert not {"request_id", "of_request"} & set(json.loads(JsonLine().format(other)))


def test_a_503_is_told_once_by_whoever_answers_it() -> None:
    assert not ToldByWhoAnswered().filter(record("Service Unavailable: /", status_code=503))
    assert ToldByWhoAnswered().filter(record("Internal Server Error: /", status_code=500))
    assert ToldByWhoAnswered().filter(record("late"))


@pytest.fixture(params=["text", "json"])
def lines(request: pytest.FixtureRequest) -> Iterator[StringIO]:
    """What the console shows of Django's loggers, with the service's own configuration of the handler."""
    settings = configuration(request.param, "INFO")
    written = StringIO()
    handler = logging.StreamHandler(written)
    text = settings["formatters"]["text"]
    handler.setFormatter(JsonLine() if request.param == "json" else logging.Formatter(text["format"]))
    for name in settings["handlers"]["console"]["filters"]:
        handler.addFilter(settings["filters"][name]["()"]())
    logger = logging.getLogger("django")
    logger.addHandler(handler)
    yield written
    logger.removeHandler(handler)


@pytest.mark.parametrize(
    "refusal", [PermissionDenied("no"), BadRequest("odd"), SuspiciousOperation("odd"), MultiPartParserError("odd")]
)
def test_a_refused_request_is_logged_in_one_line(lines: StringIO, refusal: Exception) -> None:
    def view(_: HttpRequest) -> HttpResponse:
        raise refusal

    answer = convert_exception_to_response(view)(RequestFactory().get("/admin/timers/timer/"))
    assert 400 <= answer.status_code < 500
    assert len(lines.getvalue().splitlines()) == 1, lines.getvalue()
    assert "traceback" not in lines.getvalue().lower()


def test_a_fault_of_the_server_keeps_its_traceback(lines: StringIO) -> None:
    def view(_: HttpRequest) -> HttpResponse:
        raise ValueError("the reason")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("django.core.handlers.exception.settings.DEBUG_PROPAGATE_EXCEPTIONS", False, raising=False)
        answer = convert_exception_to_response(view)(RequestFactory().get("/admin/"))
    assert answer.status_code == 500
    assert "ValueError: the reason" in lines.getvalue()


def test_only_lines_about_refusals_lose_their_traceback() -> None:
    for status, is_kept in ((None, True), (399, True), (400, False), (403, False), (499, False), (500, True)):
        line = record("x", **({} if status is None else {"status_code": status}))
        line.exc_info = (ValueError, ValueError("x"), None)
        assert WithoutTracebackOfRefusal().filter(line)
        assert (line.exc_info is not None) is is_kept, status
