"""JSON from outside."""

from __future__ import annotations

import pytest

from timers import strict_json
from timers.exceptions import SpecError
from timers.strict_json import MalformedJson


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "Expecting value at line 1, column 1"),
        (b'{"a": 1,}', "line 1"),
        (b"\xef\xbb\xbf{}", "byte order mark"),
        ('{"a": 1}'.encode("utf-16"), "byte order mark"),
        ('{"a": 1}'.encode("utf-16-le"), "is no JSON"),
        (b'"\xff"', "byte 1 makes no character"),
        (b"[NaN]", "NaN"),
        (b"[-Infinity]", "-Infinity"),
        (b"1e131071", "1e131071"),
        (b'{"a": 1, "b": {"x": 1, "x": 2}}', "'x' twice"),
        (b"[" * 100_000, "levels deep"),
        (b"9" * 5000, "digits"),
    ],
    ids=lambda value: value[:20].decode("latin-1") if isinstance(value, bytes) else "",
)
def test_what_is_no_json_that_can_be_kept_is_malformed(text: bytes, words: str) -> None:
    with pytest.raises(MalformedJson, match=words):
        strict_json.loads(text)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (b'{"a": [1, "\\u0000"]}', r"body\.a\[1\] contains the NUL"),
        (b'{"a": {"b": "\\ud800"}}', r"body\.a\.b contains half"),
        (b'{"\\udc00": 1}', "body contains half"),
        (b'{"a": ' + b"9" * 1001 + b"}", r"body\.a is a number of more than"),
        (b"[" * 60 + b"]" * 60, "nested more than 40"),
    ],
    ids=["NUL", "surrogate", "key", "digits", "depth"],
)
def test_a_value_that_cannot_be_kept_is_refused_with_its_place(text: bytes, place: str) -> None:
    with pytest.raises(SpecError, match=place):
        strict_json.loads(text)


def test_order_and_big_numbers_come_back_as_they_were() -> None:
    value = strict_json.loads(b'{"b": 123456789012345678901234567890, "a": [1.5, "\xc3\xbc", null]}')
    assert list(value.items()) == [("b", 123456789012345678901234567890), ("a", [1.5, "ü", None])]


def test_of_a_line_among_others_only_the_column_is_told() -> None:
    with pytest.raises(MalformedJson, match=r"^is no JSON: Extra data at column 4$"):
        strict_json.loads(b"{} {}", one_line=True)
