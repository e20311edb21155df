from __future__ import annotations

from typing import Any

import pytest

from timers.actions.http_content import MAX_CONTENT_BYTES, Template, Unfillable, encode_content
from timers.exceptions import InvalidRequest

ENVELOPE: dict[str, Any] = {
    "Group": "G", "Name": "n-1", "NumberOfTry": 2, "FireTime": "2026-01-01T00:00:01Z",
    "ScheduledFireTime": "2026-01-01T00:00:00Z", "ExecutionId": "e", "Fence": 7, "MissedCount": 0, "Origin": "schedule",
    "Node": "a",
    "Payload": {
        "order": {"id": 12345678901234567890}, "lines": [{"art": "x"}, {"art": "y"}], "note": "{{7*7}}", "none": None,
    },
}  # fmt: skip


def filled(template: Any) -> Any:
    return Template.parse(template, "content").fill(ENVELOPE)


@pytest.mark.parametrize(
    ("template", "result"),
    [
        ({"a": 1, "b": [True, None, "text"]}, {"a": 1, "b": [True, None, "text"]}),
        ("{{Name}}", "n-1"),
        ("{{NumberOfTry}}", 2),
        ("{{Payload.order}}", {"id": 12345678901234567890}),
        ("{{Payload.lines.1.art}}", "y"),
        ("{{Payload.none}}", None),
        ("try {{NumberOfTry}} of {{Name}}", "try 2 of n-1"),
        ("{{Name}}{{Name}}", "n-1n-1"),
        ("<{{Payload.order}}>", '<{"id":12345678901234567890}>'),
        ("{{Payload.none}}!", "null!"),
        ("{{Payload.note}}", "{{7*7}}"),
        ("see {{Payload.note}}", "see {{7*7}}"),
        ("} } {x} {", "} } {x} {"),
        (["{{Fence}}", {"deep": ["{{Origin}}"]}], [7, {"deep": ["schedule"]}]),
        ("{{Step}} of {{Order}}", " of "),
        (5, 5),
    ],
)
def test_references_are_replaced_once_and_keep_their_type(template: Any, result: Any) -> None:
    assert filled(template) == result


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("{{7*7}}", "refers to 7*7"),
        ("{{ Name }}", "write it as in {{Name}}"),
        ("{{name}}", "did you mean Name?"),
        ("{{Payload.__class__.}}", "refers to no field"),
        ("{{Name.upper}}", "only Payload has parts"),
        ("{{}}", "refers to no field"),
        ("{{Name", "no }} closes"),
        ("{% debug %}{{Name}} {{", "no }} closes"),
        ({"{{Name}}": 1}, "only values are replaced"),
        ("x" * 20_000, "at most 16,384 bytes"),
        (float("nan"), "which JSON cannot hold"),
        ("a\x00", "NUL"),
    ],
)
def test_a_reference_that_leads_nowhere_is_refused(template: Any, says: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        Template.parse(template, "content")
    assert says in str(refused.value)


def test_every_wrong_reference_is_named_with_its_place() -> None:
    with pytest.raises(InvalidRequest) as refused:
        Template.parse({"a": ["{{X}}", "{{Y}}"], "b": {"c": "{{Z}}"}}, "content")
    assert [problem.field for problem in refused.value.problems] == ["content.a[0]", "content.a[1]", "content.b.c"]


@pytest.mark.parametrize(
    "way", ["missing", "order.missing", "lines.2", "lines.x", "lines.-1", "note.x", "lines." + "9" * 5000]
)
def test_what_the_payload_does_not_have_is_said(way: str) -> None:
    with pytest.raises(Unfillable, match="the payload has no"):
        filled("{{Payload." + way + "}}")


def test_python_attributes_are_out_of_reach() -> None:
    with pytest.raises(Unfillable):
        filled("{{Payload.order.__class__}}")


def test_a_content_that_references_made_too_long_is_refused() -> None:
    with pytest.raises(Unfillable, match="bytes long"):
        encode_content(["x" * MAX_CONTENT_BYTES])


def test_content_is_compact_utf8() -> None:
    assert encode_content({"a": "ü", "b": [1, 2]}) == '{"a":"ü","b":[1,2]}'.encode()
