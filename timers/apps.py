"""The Django application."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class TimersConfig(AppConfig):
    """Registers handlers at start: each installed app's `timer_handlers.py` is imported once."""

    name = "timers"
    verbose_name = "Timers"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        autodiscover_modules("timer_handlers")
