"""The database servers that this process remembers and, in a file for each address, this machine."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from timers.server.identity import Remembered

logger = logging.getLogger(__name__)

_lock: Final = threading.Lock()
_remembered: Final[dict[str, Remembered]] = {}
_folder: Path | None = None


def keep_in(folder: Path | None) -> None:
    """Store remembered servers in this folder too, so that they outlive the process; None: in memory only."""
    global _folder  # noqa: PLW0603 - one per process, said by the project
    _folder = folder


def address_of(settings: Mapping[str, Any]) -> str:
    """Return the key of a server: the address given to this process (an entry of DATABASES)."""
    return f"{settings.get('HOST') or ''}:{settings.get('PORT') or ''}/{settings.get('NAME') or ''}"


def recall(address: str) -> Remembered | None:
    """Return what this process, or another one of this machine, remembers of the server at this address."""
    with _lock:
        known = [each for each in (_remembered.get(address), _read(address)) if each is not None]
    return max(known, key=lambda each: (each.acceptance, each.timeline or 0), default=None)


def remember(address: str, server: Remembered) -> None:
    """Remember this server instead of the previous one."""
    with _lock:
        if _remembered.get(address) == server and _read(address) in (server, None):
            return
        _remembered[address] = server
        _write(address, server)


def forget() -> None:
    """Clear the memory of this process; files stay. For tests."""
    with _lock:
        _remembered.clear()


def _file(address: str) -> Path | None:
    if _folder is None:
        return None
    return _folder / f"database-{hashlib.sha256(address.encode()).hexdigest()[:12]}.json"


def _read(address: str) -> Remembered | None:
    file = _file(address)
    if file is None:
        return None
    # An unreadable file counts as missing.
    with suppress(OSError, ValueError, TypeError, KeyError):
        content = json.loads(file.read_text())
        return Remembered(content["system_identifier"], content["timeline"], int(content["acceptance"]))
    return None


def _write(address: str, server: Remembered) -> None:
    file = _file(address)
    if file is None:
        return
    content = {
        "address": address,
        "system_identifier": server.system_identifier,
        "timeline": server.timeline,
        "acceptance": server.acceptance,
    }
    draft = file.with_name(f"{file.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft.write_text(json.dumps(content, indent=1))
        draft.replace(file)
    except OSError as error:
        logger.info("the database server is remembered by this process only: %s: %s", file, error.strerror)
