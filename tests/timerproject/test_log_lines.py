from __future__ import annotations

import json
import logging
import sys

from timerproject.log_lines import JsonLine


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
