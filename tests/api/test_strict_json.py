"""JSON from outside."""

from __future__ import annotations

import pytest

from timers.api import strict_json
from timers.api.strict_json import MalformedJson
from timers.exceptions import InvalidRequest


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
        (b"12345678901234567.89", "would come back as 1.2345678901234568e"),
        (b"3.141592653589793239", "would come back as 3.141592653589793"),
        (b"1e-400", "would come back as 0.0"),
        (b"0." + b"0" * 400 + b"1", "would come back as 0.0"),
        (b"1." + b"3" * 100_000, "would come back as"),
        (b'{"a": 1, "b": {"x": 1, "x": 2}}', "'x' twice"),
        (b"[" * 100_000, "levels deep"),
        (b"9" * 5000, "a number of more than 4,300 digits; send it as text"),
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
    with pytest.raises(InvalidRequest, match=place):
        strict_json.loads(text)


def test_order_and_big_numbers_come_back_as_they_were() -> None:
    value = strict_json.loads(b'{"b": 123456789012345678901234567890, "a": [1.5, "\xc3\xbc", null]}')
    assert list(value.items()) == [("b", 123456789012345678901234567890), ("a", [1.5, "ü", None])]


@pytest.mark.parametrize(
    "text",
    [
        "0.1", "1.10", "-0.0", "0e5", "1E3", "5e-324", "1.7976931348623157e308", "12345678901.345678",
        "0.10000000000000001",  # as C writes it with %.17g
        "0.1000000000000000055511151231257827021181583404541015625",  # as Java writes BigDecimal(0.1)
        "0.50000000000000000000000000000000000000000",
    ],
)  # fmt: skip
def test_a_number_that_means_a_double_is_that_double(text: str) -> None:
    assert strict_json.loads(text.encode()) == float(text)


def test_a_key_that_comes_twice_among_very_many_is_found_in_one_pass() -> None:
    keys = [*(f'"k{number}": 1' for number in range(200_000)), '"k199999": 2']
    with pytest.raises(MalformedJson, match="'k199999' twice"):
        strict_json.loads(f"{{{', '.join(keys)}}}".encode())


def test_of_a_line_among_others_only_the_column_is_told() -> None:
    with pytest.raises(MalformedJson, match=r"^is no JSON: Extra data at column 4$"):
        strict_json.loads(b"{} {}", one_line=True)
