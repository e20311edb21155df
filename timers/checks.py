"""System checks: what `manage.py check` and the commands that run checks say about the settings."""

from __future__ import annotations

from typing import Any

from django.core import checks

from timers import conf


@checks.register("timers")
def settings_are_consistent(**_: Any) -> list[checks.CheckMessage]:
    """Warn of settings that are not valid together: nodes do not start with them."""
    hint = "Nodes do not start until this is corrected."
    return [checks.Warning(text, hint=hint, id="timers.W001") for text in conf.clashes(conf.current())]
