"""Output: tables with aligned columns for people, JSON for programs."""

from __future__ import annotations

import json
import re
import shutil
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from timers_client.ctl.durations import in_units

_INSTANT: Final = re.compile(r"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?([+-]\d\d:\d\d|Z)$")
_NAMED: Final = 5
"""Number of executions that are named by their ids."""
_SETTINGS: Final = frozenset({"retry", "overrides"})


class Table:
    """A table that is printed row by row. Columns have minimum widths; 0: the remaining width."""

    def __init__(self, columns: Mapping[str, int]) -> None:
        self._columns = columns
        self._has_head = False

    def show(self, row: Mapping[str, Any]) -> None:
        """Print one more row, with the header before the first one."""
        if not self._has_head:
            self._print([column.upper() for column in self._columns])
            self._has_head = True
        self._print([_cell(row.get(column)) for column in self._columns])
        sys.stdout.flush()

    def _print(self, cells: Sequence[str]) -> None:
        print(_fitted("  ".join(map(_padded, cells, self._columns.values()))))


def show_rows(rows: Iterable[Mapping[str, Any]], columns: Sequence[str], *, as_json: bool) -> None:
    """Print a line for each row: an aligned table of some columns, or whole JSON objects."""
    if as_json:
        for row in rows:
            show_json(row)
        return
    cells = [[column.upper() for column in columns], *([_cell(row.get(column)) for column in columns] for row in rows)]
    widths = [max(_width(line[place]) for line in cells) for place in range(len(columns))]
    for line in cells:
        print(_fitted("  ".join(map(_padded, line, widths))))


def with_cause(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return an execution whose `error` explains its outcome: the given reason if there was no error."""
    is_well = row["state"] == "succeeded"
    return row if is_well or row["error"] else {**row, "error": row["reason"]}


def show_one(row: Mapping[str, Any], *, as_json: bool) -> None:
    """Print one object: a line for each field, durations with units, or one JSON object."""
    if as_json:
        show_json(row)
        return
    cells = dict(_spread(row))
    width = max(map(len, cells), default=0)
    for name, value in cells.items():
        print(f"{name:<{width}}  {value}".rstrip())


def in_flight_words(executions: Sequence[str]) -> str:
    """Describe the executions that a change came too late for: their number and a few ids; empty if there are none."""
    if not executions:
        return ""
    number = f"{len(executions):,} execution{'' if len(executions) == 1 else 's'}"
    more = f" and {len(executions) - _NAMED:,} more" if len(executions) > _NAMED else ""
    return f"{number} already in flight: {', '.join(executions[:_NAMED])}{more}"


def show_changed(name: str, row: Mapping[str, Any], *, as_json: bool) -> None:
    """Print the state of an object after a change, and the executions that the change came too late for."""
    words = in_flight_words(row.get("in_flight", ()))
    show_state(name, row, *([words] if words else []), as_json=as_json)


def show_state(name: str, row: Mapping[str, Any], *more: str, as_json: bool) -> None:
    """Print the state of an object: one short line, or one JSON object."""
    if as_json:
        show_json(row)
        return
    said = [str(row["state"])]
    if row["state"] == "active" and row.get("effective_state") in ("paused", "waiting"):
        said.append(f"held up: {row['state_reason']}")
    if row["state"] == "paused" and row.get("paused_until"):
        said[0] += f" until {_cell(row['paused_until'])}"
    if row["state"] == "active" and row.get("next_fire_at"):
        said.append(f"next fire {_cell(row['next_fire_at'])}")
    print(f"{_printable(name)}: {', '.join([*said, *more])}")


def show_json(value: Any) -> None:
    """Print one line of JSON."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n")
    sys.stdout.flush()


def _spread(row: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """Yield each field with its value as text; nested fields get dotted paths."""
    for name, value in row.items():
        if name in _SETTINGS and isinstance(value, Mapping) and value:
            yield from _spread(value, f"{above}{name}.")
        else:
            yield above + name, _printable(in_units(above + name, value))


def _cell(value: Any) -> str:
    """Format a value in a table: instants to the millisecond, numbers to the microsecond, a dash for nothing."""
    if value == "":
        return "-"
    if isinstance(value, float):
        return f"{value:.6f}".rstrip("0").rstrip(".")
    return _printable(_INSTANT.sub(_shorter, value) if isinstance(value, str) else value)


def _printable(value: Any) -> str:
    """Return one line that a terminal shows unchanged: control characters would move its cursor."""
    if value is None:
        return "-"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


def _shorter(instant: re.Match[str]) -> str:
    """Format an instant to the millisecond."""
    fraction = (instant[2] or "")[:4]
    return f"{instant[1]}{'' if fraction in {'', '.000'} else fraction}{instant[3].replace('+00:00', 'Z')}"


def _width(text: str) -> int:
    return sum(_cells(letter) for letter in text)


def _cells(letter: str) -> int:
    if unicodedata.combining(letter):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1


def _padded(text: str, width: int) -> str:
    return text + " " * (width - _width(text))


def _fitted(line: str) -> str:
    """Cut a line to the width of the terminal; return all of it if the output is not a terminal."""
    line = line.rstrip()
    if not sys.stdout.isatty():
        return line
    room = shutil.get_terminal_size().columns
    if _width(line) <= room:
        return line
    kept, used = [], 0
    for letter in line:
        used += _cells(letter)
        if used > room - 1:
            break
        kept.append(letter)
    return "".join(kept) + "…"
