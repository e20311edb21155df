"""Secrets of an installation that has none configured: generated once, each stored in a file private to its owner."""

from __future__ import annotations

import base64
import os
import secrets
from collections.abc import Callable
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

from timers.conf.forms import KEY_BYTES


def kept_in(path: Path, make: Callable[[], str]) -> str:
    """Return the key in this file; create it if there is none. Concurrent processes get the same key."""
    try:
        if not path.exists():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _write(path, make())
        return path.read_text(encoding="ascii").strip()
    except OSError as error:
        raise ImproperlyConfigured(
            f"The key {path} cannot be read or made: {error.strerror}. "
            "Set SECRET_KEY and TIMERS_ENCRYPTION_KEYS, or let this user read and write there."
        ) from error


def new_secret_key() -> str:
    """Return a new key in the format of SECRET_KEY."""
    return secrets.token_urlsafe(50)


def new_encryption_key() -> str:
    """Return a new key in the format of TIMERS_ENCRYPTION_KEYS."""
    return f"first:{base64.b64encode(os.urandom(KEY_BYTES)).decode()}"


def _write(path: Path, key: str) -> None:
    whole = path.with_name(f"{path.name}.{os.getpid()}")
    with os.fdopen(os.open(whole, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as file:
        file.write(key + "\n")
    try:
        os.link(whole, path)  # fails if another process was first; then its key is used
    except FileExistsError:
        pass
    finally:
        whole.unlink()
