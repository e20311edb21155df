from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timers.domain.payload import MAX_BYTES, MAX_DEPTH, UnreadablePayload, decode, encode, storable
from timers.exceptions import InvalidRequest

text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(text, inner, max_size=5),
    max_leaves=20,
)


@given(values)
def test_any_json_value_comes_back_unchanged(value: Any) -> None:
    back = decode(encode(value))
    assert back == value
    assert json.dumps(back) == json.dumps(value)


def test_key_order_and_integers_beyond_2_53_survive() -> None:
    value = {"z": 2**53 + 1, "a": -(2**200), "m": 0.1}
    assert list(decode(encode(value)).items()) == list(value.items())


def test_a_tuple_is_a_list() -> None:
    assert decode(encode((1, (2, 3)))) == [1, [2, 3]]


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ({"a": [1, {"b": float("nan")}]}, "payload.a[1].b is nan"),
        ([[float("inf")]], "payload[0][0] is inf"),
        ({"a": {"b": "\x00"}}, "payload.a.b contains the NUL character"),
        ({"a": {"\udfff": 1}}, "payload.a contains half of a surrogate pair"),
        ({"a": {(1, 2): 1}}, "payload.a has the key (1, 2)"),
        ([1, {2}], "payload[1] is a set"),
        (10**1000, "payload is a number of more than 1,000 digits"),
        (-(10**1000), "payload is a number of more than 1,000 digits"),
    ],
)
def test_what_cannot_be_kept_is_refused_with_its_place(value: Any, place: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        encode(value)
    assert refused.value.field == "payload"
    assert place in str(refused.value)


def test_a_value_that_holds_itself_is_refused() -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(InvalidRequest, match="levels deep"):
        encode(value)


def test_depth_is_counted_in_containers() -> None:
    value: Any = 1
    for _ in range(MAX_DEPTH):
        value = [value]
    assert decode(encode(value)) == value
    with pytest.raises(InvalidRequest, match="more than 32 levels"):
        encode([value])


def test_size_is_counted_in_bytes_of_json() -> None:
    assert len(encode("x" * (MAX_BYTES - 2))) == MAX_BYTES
    for value in ("x" * (MAX_BYTES - 1), "ü" * (MAX_BYTES // 2)):
        with pytest.raises(InvalidRequest, match="at most 65,536 bytes of JSON"):
            encode(value)


@pytest.mark.parametrize(
    "stored",
    ['{"a":1e131071}', "[" * 5000 + "]" * 5000, "NaN", '{"a": Infinity}', "-1e999", "1" * 5000, "{", "", '"\n"'],
)
def test_stored_text_that_python_cannot_give_back_says_so_and_nothing_else(stored: str) -> None:
    with pytest.raises(UnreadablePayload, match="the payload"):
        decode(stored)


def test_text_is_made_storable_and_good_text_stays_as_it_is() -> None:
    assert storable("a\x00b\ud800c") == "a\\x00b\\ud800c"
    assert storable("plain ☃ text\n") == "plain ☃ text\n"
