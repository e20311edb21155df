"""The Django application."""

from __future__ import annotations

from django.apps import AppConfig
from django.db.backends.signals import connection_created
from django.utils.module_loading import autodiscover_modules

from timers.schedules.zones import use_newest_rules
from timers.server.prepare import prepare


class TimersConfig(AppConfig):
    """Chooses the time zone rules, prepares database sessions, and imports each app's `timer_handlers.py` once."""

    name = "timers"
    verbose_name = "Timers"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        # First of all: zones that are already loaded do not change.
        use_newest_rules()
        connection_created.connect(prepare, dispatch_uid="timers.server")
        from timers.security.deleted_users import delete_keys_of_deleted_users

        delete_keys_of_deleted_users()
        autodiscover_modules("timer_handlers")
        from timers import checks  # noqa: F401 - registers them
