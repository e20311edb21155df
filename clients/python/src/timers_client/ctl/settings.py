"""URL and key of the service: from flags, the environment, or ~/.config/timerctl.toml, in that order."""

from __future__ import annotations

import os
import stat
import tomllib
from pathlib import Path

from timers_client.errors import TimersError
from timers_client.sync import TimersClient


def settings_file() -> Path:
    """Return the path of the file with `url` and `key`."""
    home = os.environ.get("XDG_CONFIG_HOME")
    return (Path(home) if home else Path.home() / ".config") / "timerctl.toml"


def client_of(url: str | None, key: str | None, deadline: float) -> TimersClient:
    """Build a client from the settings. Raises TimersError if URL or key is missing."""
    url = os.environ.get("TIMER_SERVICE_URL") or None if url is None else url
    key = os.environ.get("TIMER_SERVICE_KEY") or None if key is None else key
    kept = _read(settings_file()) if url is None or key is None else {}
    return TimersClient(
        kept.get("url") if url is None else url, kept.get("key") if key is None else key, deadline=deadline
    )


def _read(file: Path) -> dict[str, str]:
    try:
        with file.open("rb") as opened:
            # Checks the opened file, not one that may have replaced it.
            mode = os.fstat(opened.fileno()).st_mode
            content = opened.read()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise TimersError(f"{file} cannot be read: {error}") from error
    if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise TimersError(f"{file} holds a key, and others may read or change it; run: chmod 600 {file}")
    try:
        found = tomllib.loads(content.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise TimersError(f"{file} is no TOML: {error}") from error
    unknown = sorted(set(found) - {"url", "key"})
    if unknown or not all(isinstance(value, str) for value in found.values()):
        raise TimersError(f'{file} may hold url = "..." and key = "...", and nothing else')
    return found
