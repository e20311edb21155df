"""Installed version of this client."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Final


def _version() -> str:
    try:
        return version("timers-client")
    except PackageNotFoundError:  # run from its sources
        return "0"


VERSION: Final = _version()
