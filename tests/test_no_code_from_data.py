"""Nothing that is stored or sent becomes code: names of handlers and actions are looked up, and never imported."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from django.conf import settings

IMPORTERS: Final = {
    "timers/apps.py": "autodiscover_modules",  # at start: timer_handlers.py of each app that is installed
    "timers/schedules/public_holidays.py": "importlib",  # holidays, when it is needed first
    "timers/schedules/zones.py": "importlib",  # tzdata
}
"""Who may import by name, and only a name that stands there as it is."""
BUILTINS: Final = {"eval", "exec", "compile", "__import__"}
MODULES: Final = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "runpy", "code", "codeop", "imp", "importlib",
                  "jsonpickle", "django.utils.module_loading"}  # fmt: skip
YAML: Final = "timers/declared_files/strict_yaml.py"
SAFE: Final = {"CSafeLoader", "SafeLoader"}


def ways_to_code(source: str) -> Iterator[str]:
    """What in a module could make code of a name or of text."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Name(id=name) if name in BUILTINS:
                yield name
            case ast.Import(names=names):
                yield from (name for alias in names if (name := _module(alias.name)) is not None)
            case ast.ImportFrom(module=str(module)) if (name := _module(module)) is not None:
                yield "autodiscover_modules" if [each.name for each in node.names] == ["autodiscover_modules"] else name
            case ast.Call(func=ast.Name(id="import_module" | "autodiscover_modules"), args=[ast.Constant()]):
                pass
            case ast.Call(func=ast.Name(id="import_module" | "autodiscover_modules" as name)):
                yield f"{name} of what is not written there"
            case ast.Attribute(attr="import_module" | "import_string" | "__builtins__" | "__loader__" as name):
                yield name
            case ast.Attribute(value=ast.Name(id="yaml"), attr=name) if "oad" in name and name not in SAFE:
                yield f"yaml.{name}"


def _module(name: str) -> str | None:
    parts = name.split(".")
    return next((each for end in range(1, len(parts) + 1) if (each := ".".join(parts[:end])) in MODULES), None)


def sources() -> dict[str, str]:
    folder = Path(settings.BASE_DIR)
    return {str(path.relative_to(folder)): path.read_text() for path in (folder / "timers").rglob("*.py")}


def test_no_module_makes_code_of_what_it_is_given() -> None:
    found = {path: ways for path, source in sources().items() if (ways := [*ways_to_code(source)])}
    assert found == {path: [way] for path, way in IMPORTERS.items()}


def test_yaml_is_read_in_one_place_that_knows_plain_values_only() -> None:
    assert [path for path, source in sources().items() if "import yaml" in source] == [YAML]


@pytest.mark.parametrize(
    "source",
    [
        "eval(text)", "run = exec", "compile(text, '', 'exec')", "__import__(name)", "import pickle",
        "from marshal import loads", "import importlib.util", "from importlib import import_module as load",
        "from django.utils.module_loading import import_string", "module_loading.import_string(name)",
        "autodiscover_modules(name)", "import_module(row.handler)", "import_module('timers.' + name)",
        "yaml.load(text)", "yaml.unsafe_load(text)", "yaml.FullLoader", "import os.path, pickle",
    ],
)  # fmt: skip
def test_a_way_to_code_is_seen(source: str) -> None:
    assert [*ways_to_code(source)]


@pytest.mark.parametrize("source", ["re.compile(text)", "yaml.SafeLoader", "import_module('tzdata')", "code = 1"])
def test_what_makes_no_code_is_left_alone(source: str) -> None:
    assert not [*ways_to_code(source)]
