"""The secrets of an installation that was given none: made once, each kept in a file for this user alone."""

from __future__ import annotations

import base64
import os
import secrets
from collections.abc import Callable
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

from timers.conf.forms import KEY_BYTES


def kept_in(path: Path, make: Callable[[], str]) -> str:
    """The key in this file, made if there is none. Several processes at once end up with the same key."""
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
    """A key in the form of SECRET_KEY."""
    return secrets.token_urlsafe(50)


def new_encryption_key() -> str:
    """A key in the form of TIMERS_ENCRYPTION_KEYS."""
    return f"first:{base64.b64encode(os.urandom(KEY_BYTES)).decode()}"


def _write(path: Path, key: str) -> None:
    whole = path.with_name(f"{path.name}.{os.getpid()}")
    with os.fdopen(os.open(whole, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as file:
        file.write(key + "\n")
    try:
        os.link(whole, path)  # fails if another was first, and then his key is the one
    except FileExistsError:
        pass
    finally:
        whole.unlink()
