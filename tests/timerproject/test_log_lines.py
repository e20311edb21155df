from __future__ import annotations

import json
import logging
import sys

from timerproject.log_lines import JsonLine, ToldByWhoAnswered, configuration
from timers.request_id import WithRequestId, current_request_id


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
