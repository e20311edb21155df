"""YAML without surprises, and hostile files."""

from __future__ import annotations

import time
from typing import Any

import pytest

from timers.declared_files.strict_yaml import read_yaml
from timers.exceptions import InvalidRequest


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("# only a comment\n", None),
        ("{a: 1, b: [x, 'y', \"z\"], c: {d: null}}", {"a": 1, "b": ["x", "y", "z"], "c": {"d": None}}),
        ("a: ~\nb:\nc: ''", {"a": None, "b": None, "c": ""}),
        ("[true, False, 'true']", [True, False, "true"]),
        ("[0, -1, +2, 1.5, 1e3, .5, '1']", [0, -1, 2, 1.5, 1000.0, 0.5, "1"]),
        ("a: |\n  two\n  lines\n", {"a": "two\nlines\n"}),
        # What YAML 1.1 takes for other things is the text that it looks like.
        ("[yes, no, on, off, y, 12:30, 12:30:45, 2026-01-31, 1_000, 0x1F, .inf, .nan]",
         ["yes", "no", "on", "off", "y", "12:30", "12:30:45", "2026-01-31", "1_000", "0x1F", ".inf", ".nan"]),
        ("a: 0 2 * * *", {"a": "0 2 * * *"}),
        ("a: 2026-01-31T12:00:00Z", {"a": "2026-01-31T12:00:00Z"}),
        ('{"json": ["is", {"yaml": "too"}]}', {"json": ["is", {"yaml": "too"}]}),
        (f"a: {2**70}", {"a": 2**70}),
    ],
)  # fmt: skip
def test_what_json_has_is_read(text: str, value: Any) -> None:
    assert read_yaml(text, "f.yaml").value == value


def test_each_part_knows_its_line() -> None:
    document = read_yaml("a:\n  - x\n  - b: 1\n    c: 2\n", "f.yaml")
    assert document.lines == {"": 1, "a": 1, "a[0]": 2, "a[1]": 3, "a[1].b": 3, "a[1].c": 4}


@pytest.mark.parametrize(
    ("text", "field", "words"),
    [
        ("a: 1\nb: 2\na: 3\n", "a", "comes twice (first on line 1) - f.yaml, line 3"),
        ("x:\n  - {k: 1, k: 2}\n", "x[0].k", "comes twice (first on line 2) - f.yaml, line 2"),
        ("a: &x [1]\nb: 2\n", "a", "has an anchor, which is not taken"),
        ("a: *x\n", "a", "has an alias, which is not taken"),
        ("a: */5 * * * *\n", "a", "text that begins with * or & needs quotes - f.yaml, line 1"),
        ("a: !!python/object/apply:os.system ['true']\n", "a", "has the tag tag:yaml.org,2002:python/object"),
        ("a: !!str 5\n", "a", "has the tag"),
        ("<<: {a: 1}\n", "file", "has a merge key (<<)"),
        ("a: 007\n", "a", "has a leading zero: leave it away, or write it in quotes if it is text (given: '007')"),
        (f"a: {'9' * 5000}\n", "a", "is a number of more than 1,000 digits"),
        ("a: 1e999\n", "a", "is a number out of range"),
        ("1: x\n", "file", "has the key 1, which is no text: write it in quotes"),
        ("null: x\n", "file", "has the key null"),
        ("? [a]\n: x\n", "file", "has a key that is no text"),
        ("a: 1\n---\nb: 2\n", "file", "holds a second document"),
        ("a: [1, 2\n", "a[2]", "is not YAML"),
        ("a:\n\t- 1\n", "a", "is not YAML"),
        ("a: 'x\n", "a", "is not YAML"),
        ("a: b: c\n", "file", "mapping values are not allowed"),
        ("a: \x01\n", "file", "is not YAML"),
    ],
)
def test_what_surprises_is_refused_with_its_place(text: str, field: str, words: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read_yaml(text, "f.yaml")
    assert (refused.value.field, words in str(refused.value)) == (field, True), str(refused.value)


@pytest.mark.parametrize(
    "bomb",
    [
        "a: &a [x]\n" + "".join(f"b{n}: &b{n} [*a, *a, *a, *a, *a, *a, *a, *a]\n" for n in range(30)),
        "a: &a [*a]\n",
        "[" * 100_000,
        "{a: " * 100_000,
        "- " * 100_000 + "x",
        "? " * 100_000,
        "a: " + "9" * 1_000_000,
        "!" * 100_000,
        "%YAML 9.9\n---\na: 1\n",
    ],
    ids=["laughs", "cycle", "lists", "mappings", "dashes", "keys", "digits", "tags", "directive"],
)  # fmt: skip
def test_a_file_made_to_hurt_is_refused_quickly(bomb: str) -> None:
    before = time.process_time()
    with pytest.raises(InvalidRequest):
        read_yaml(bomb, "f.yaml")
    assert time.process_time() - before < 1
