"""The Python blocks of the documents, run as a reader would run them: in order, in one namespace."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings

from timers import handlers

_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)

FRAME = "# not run\n"
"""A block that begins so shows only a form."""


def page(name: str) -> str:
    """The text of a document, by its path from the project's folder."""
    return Path(settings.BASE_DIR / name).read_text()


def blocks(name: str) -> list[tuple[str, int]]:
    """The Python blocks of a document with the lines they begin at."""
    text = page(name)
    return [
        (found[1], text.count("\n", 0, found.start()) + 2)
        for found in _BLOCK.finditer(text)
        if not found[1].startswith(FRAME)
    ]


def run(name: str, **given: Any) -> dict[str, Any]:
    """Run the blocks of a document, and return the names that they leave behind."""
    namespace: dict[str, Any] = {"__name__": f"docs.{Path(name).stem}", **given}
    for source, line in blocks(name):
        # Blank lines in front: a traceback names the line of the document.
        exec(compile("\n" * (line - 1) + source, name, "exec", dont_inherit=True), namespace)
    return namespace


@contextmanager
def handlers_of_its_own() -> Iterator[None]:
    """Forget afterwards the handlers that were registered inside."""
    before = set(handlers.names())
    try:
        yield
    finally:
        for name in set(handlers.names()) - before:
            handlers.unregister(name)
