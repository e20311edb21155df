from __future__ import annotations

from typing import Any

import pytest

from timers.domain.limit_keys import MAX_KEY, KeyPath, check_key
from timers.domain.limits import Limits
from timers.domain.rates import Rate
from timers.exceptions import InvalidRequest

PAYLOAD = {
    "tenant": "acme", "id": 7, "flag": True, "half": 0.5, "none": None, "empty": "", "list": [{"id": "x"}, ["y"]],
    "with-dash": "d", "object": {"a": 1}, "größe": "g",
}  # fmt: skip


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("payload.tenant", "acme"),
        ("payload.id", "7"),
        ("payload.flag", "true"),
        ("payload.half", "0.5"),
        ("payload.list[0].id", "x"),
        ("payload.list[1][0]", "y"),
        ("payload.with-dash", "d"),
        # No key: missing, not a scalar, empty, of another shape.
        ("payload.none", ""),
        ("payload.empty", ""),
        ("payload.object", ""),
        ("payload.list", ""),
        ("payload.list[2]", ""),
        ("payload.list.id", ""),
        ("payload[0]", ""),
        ("payload.missing.deeper", ""),
        ("payload", ""),
    ],
)
def test_a_path_finds_the_key_in_a_payload(path: str, key: str) -> None:
    assert KeyPath.parse(path, "concurrency_key").find(PAYLOAD) == key


@pytest.mark.parametrize("payload", [None, 5, [], "text", True])
def test_a_payload_of_another_shape_has_no_key(payload: Any) -> None:
    assert KeyPath.parse("payload.tenant", "concurrency_key").find(payload) == ""


def test_the_payload_itself_can_be_the_key() -> None:
    assert KeyPath.parse("payload", "concurrency_key").find("acme") == "acme"


@pytest.mark.parametrize(
    "path",
    [
        "", "tenant", "payload.", "payload..a", "payload.a.", "payload[", "payload[a]", "payload[-1]", "payload[01]",
        "payload[999999]", "payload.a b", "payload.a()", "payload.__class__()", "payload.a|b", "payloads.a",
        "payload" + ".a" * 11, "payload." + "a" * 200, 5, None, ["payload.a"], "payload.größe",
    ],
)  # fmt: skip
def test_what_is_no_path_is_refused(path: Any) -> None:
    with pytest.raises(InvalidRequest, match=r"^concurrency_key: must"):
        KeyPath.parse(path, "concurrency_key")


def test_long_keys_are_kept_short_and_apart() -> None:
    path = KeyPath.parse("payload", "concurrency_key")
    first, second = path.find("x" * 5000), path.find("x" * 4999 + "y")
    assert len(first) <= MAX_KEY
    assert len(second) <= MAX_KEY
    assert first != second
    assert path.find("x" * MAX_KEY) == "x" * MAX_KEY


@pytest.mark.parametrize("key", ["", "x" * (MAX_KEY + 1), "a\nb", 5, True, ["a"]])
def test_what_is_no_key_is_refused(key: Any) -> None:
    with pytest.raises(InvalidRequest, match="concurrency_key: must be 1 to 100 printable characters"):
        check_key("concurrency_key", key)


TENANT = KeyPath.parse("payload.tenant", "concurrency_key")


@pytest.mark.parametrize(
    ("limits", "own", "key"),
    [
        (Limits(), "own", None),
        (Limits(max_concurrency=5, key_path=TENANT), "own", None),
        (Limits(max_concurrency_per_key=1), "own", "own"),
        (Limits(max_concurrency_per_key=1), None, ""),
        (Limits(max_concurrency_per_key=1, key_path=TENANT), "own", "own"),
        (Limits(max_rate_per_key=Rate.parse("1/s", "rate"), key_path=TENANT), None, "acme"),
    ],
)
def test_a_timer_carries_a_key_where_its_group_limits_by_key(limits: Limits, own: str | None, key: str | None) -> None:
    assert limits.key_of(own, PAYLOAD) == key


def test_timers_without_a_key_are_limited_where_the_group_names_a_path() -> None:
    assert Limits(max_concurrency_per_key=1, key_path=TENANT).limits_key("")
    assert not Limits(max_concurrency_per_key=1).limits_key("")
    assert Limits(max_concurrency_per_key=1).limits_key("own")
