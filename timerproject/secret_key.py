"""The secret key of an installation that was given none: made once, kept in a file for this user alone."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured


def kept_in(path: Path) -> str:
    """The key in this file, made if there is none. Several processes at once end up with the same key."""
    try:
        if not path.exists():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _make(path)
        return path.read_text(encoding="ascii").strip()
    except OSError as error:
        raise ImproperlyConfigured(
            f"The secret key {path} cannot be read or made: {error.strerror}. "
            "Set SECRET_KEY, or let this user read and write there."
        ) from error


def _make(path: Path) -> None:
    whole = path.with_name(f"{path.name}.{os.getpid()}")
    with os.fdopen(os.open(whole, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as file:
        file.write(secrets.token_urlsafe(50) + "\n")
    try:
        os.link(whole, path)  # fails if another was first, and then his key is the one
    except FileExistsError:
        pass
    finally:
        whole.unlink()
