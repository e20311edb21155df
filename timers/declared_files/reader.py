"""Public: declare timers and job chains in a YAML file.

    groups:
      reports:
        retry: {max_retries: 3, min_backoff: 10, max_backoff: 300}
        chains:
          publish:
            steps:
              build: {action: {handler: reports.build}, next: done}
              done: {kind: end}
    timers:
      - group: reports
        name: nightly
        handler: reports.build
        expression: "30 2 * * *"
        time_zone: Europe/Berlin

Groups accept the fields of create_group, and `chains`: the definitions of their chains by name. Timers accept the
keywords of timers.scheduling; `kind` can be omitted if another keyword implies it. `name` at the top is the name of the
source (default: the file's name): each source has its own timers and chains. See control/sync.py and
control/chains/reconcile.py for how they are reconciled.
"""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from timers.control.declaration import Declaration, Declared, check_source
from timers.declared_files.strict_yaml import Document, read_yaml
from timers.exceptions import InvalidRequest

MAX_BYTES: Final = 4 * 1024 * 1024
_TOP: Final = ("name", "groups", "timers")


def read_declarations(path: str | Path) -> Declared:
    """Return the declarations of the file. Raise InvalidRequest naming the file, the line, the field and the remedy.

    Only the structure is validated here; the fields are validated when the file is reconciled.
    """
    document = read_yaml(_text(Path(path)), Path(path).name)
    top = document.value
    if not isinstance(top, dict):
        raise document.error("", "must be a mapping with groups and timers", top)
    problems = [document.error(key, f"is not known; {_hint(key)}") for key in top if key not in _TOP]
    timers, groups = top.get("timers"), top.get("groups") or {}
    if not isinstance(timers, list):
        problems.append(document.error("timers", "must be a list of timers; to declare none, write timers: []", timers))
    elif not all(isinstance(timer, dict) for timer in timers):
        problems += _no_mappings(document, {f"timers[{number}]": timer for number, timer in enumerate(timers)})
    if not isinstance(groups, dict):
        problems.append(document.error("groups", "must be a mapping of names to fields", groups))
    else:
        problems += _no_mappings(document, {f"groups.{name}": fields or {} for name, fields in groups.items()})
        problems += [
            document.error(f"groups.{name}.name", "is not known: the key is the name")
            for name, fields in groups.items()
            if isinstance(fields, dict) and "name" in fields
        ]
        problems += _chain_problems(document, groups)
    try:
        source = check_source(top.get("name", document.file))
    except InvalidRequest as error:
        problems.append(document.error("name", error.problems[0].message))
    if problems:
        raise InvalidRequest.combined(problems)
    return Declared(
        source,
        [_declaration(document, f"timers[{number}]", timer) for number, timer in enumerate(timers or [])],
        [_declaration(document, f"groups.{name}", {"name": name, **_fields(of)}) for name, of in groups.items()],
        [
            _declaration(
                document, f"groups.{group}.chains.{name}", {"group": group, "name": name, "definition": definition}
            )
            for group, of in groups.items()
            for name, definition in _chains(of).items()
        ],
    )


def _chains(group: Any) -> Any:
    """Return the chains that a group declares."""
    return ((group or {}).get("chains") or {}) if isinstance(group or {}, dict) else {}


def _fields(group: dict[str, Any] | None) -> dict[str, Any]:
    """Return the fields of the group itself."""
    return {key: value for key, value in (group or {}).items() if key != "chains"}


def _chain_problems(document: Document, groups: dict[str, Any]) -> list[InvalidRequest]:
    problems: list[InvalidRequest] = []
    for name, fields in groups.items():
        chains, path = _chains(fields), f"groups.{name}.chains"
        if not isinstance(chains, dict):
            problems.append(document.error(path, "must be a mapping of names to definitions", chains))
        else:
            problems += _no_mappings(document, {f"{path}.{each}": given for each, given in chains.items()})
    return problems


def _text(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise InvalidRequest("file", f"cannot be read: {error.strerror or error} - {file}") from None
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise InvalidRequest("file", f"is not text in UTF-8 - {file.name}, line {line}") from None
    if len(content) > MAX_BYTES:
        raise InvalidRequest("file", f"is larger than {MAX_BYTES // 1024**2} MB: divide it - {file.name}")
    return text


def _declaration(document: Document, path: str, keywords: dict[str, Any]) -> Declaration:
    return Declaration(keywords, document.file, path, document.lines)


def _no_mappings(document: Document, parts: dict[str, Any]) -> list[InvalidRequest]:
    return [
        document.error(path, "must be a mapping of fields", part)
        for path, part in parts.items()
        if not isinstance(part, dict)
    ]


def _hint(key: str) -> str:
    near = get_close_matches(key, _TOP, n=1)
    return f"did you mean {near[0]}?" if near else f"known are {', '.join(_TOP)}"
