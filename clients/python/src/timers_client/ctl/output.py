"""What is printed: tables with aligned columns for people, JSON for programs."""

from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def show_rows(rows: Iterable[Mapping[str, Any]], columns: Sequence[str], *, as_json: bool) -> None:
    """A line for each: an aligned table of some columns, or whole JSON objects."""
    if as_json:
        for row in rows:
            show_json(row)
        return
    cells = [list(columns), *([_cell(row.get(column)) for column in columns] for row in rows)]
    widths = [max(_width(line[place]) for line in cells) for place in range(len(columns))]
    for number, line in enumerate(cells):
        words = [
            _padded(word.upper() if number == 0 else word, width) for word, width in zip(line, widths, strict=True)
        ]
        print("  ".join(words).rstrip())


def show_one(row: Mapping[str, Any], *, as_json: bool) -> None:
    """One thing: a line for each of its fields, or one JSON object."""
    if as_json:
        show_json(row)
        return
    width = max((len(name) for name in row), default=0)
    for name, value in row.items():
        print(f"{name:<{width}}  {_cell(value)}".rstrip())


def show_json(value: Any) -> None:
    """One line of JSON."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n")
    sys.stdout.flush()


def _cell(value: Any) -> str:
    """One line that a terminal shows as it is: control characters would move its cursor."""
    if value is None:
        return "-"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def _padded(text: str, width: int) -> str:
    return text + " " * (width - _width(text))
