"""The Python blocks of the documents, run as a reader would run them: in order, in one namespace."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings

from timers import handlers

_BLOCK = r"^```{kind}\n(.*?)^```$"

FRAME = "# not run\n"
"""A block that begins so shows only a form."""


def page(name: str) -> str:
    """The text of a document, by its path from the project's folder."""
    return Path(settings.BASE_DIR / name).read_text()


def blocks(name: str, kind: str = "python") -> list[tuple[str, int]]:
    """The blocks of one kind of a document with the lines they begin at: python, python client, sh."""
    text = page(name)
    return [
        (found[1], text.count("\n", 0, found.start()) + 2)
        for found in re.finditer(_BLOCK.format(kind=kind), text, re.MULTILINE | re.DOTALL)
        if not found[1].startswith(FRAME)
    ]


def run(name: str, *, kind: str = "python", **given: Any) -> dict[str, Any]:
    """Run the Python blocks of a document (or those for the client), and return the names that they leave behind."""
    namespace: dict[str, Any] = {"__name__": f"docs.{Path(name).stem}", **given}
    for source, line in blocks(name, kind):
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
