"""Where the service is: from flags, the environment, or ~/.config/timerctl.toml, in that order."""

from __future__ import annotations

import os
import stat
import tomllib
from pathlib import Path

from timers_client.errors import TimersError
from timers_client.sync import TimersClient


def settings_file() -> Path:
    """The file with `url` and `key`."""
    home = os.environ.get("XDG_CONFIG_HOME")
    return (Path(home) if home else Path.home() / ".config") / "timerctl.toml"


def client_of(url: str | None, key: str | None) -> TimersClient:
    """A client of what was given; raises TimersError where address or key are missing."""
    kept = _read(settings_file())
    return TimersClient(
        url or os.environ.get("TIMER_SERVICE_URL") or kept.get("url"),
        key or os.environ.get("TIMER_SERVICE_KEY") or kept.get("key"),
    )


def _read(file: Path) -> dict[str, str]:
    try:
        mode = file.stat().st_mode
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise TimersError(f"{file} cannot be read: {error}") from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise TimersError(f"{file} holds a key and can be read by others; run: chmod 600 {file}")
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise TimersError(f"{file} is no TOML: {error}") from error
    return {name: value for name, value in found.items() if isinstance(value, str)}
