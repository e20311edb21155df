"""The project's settings with the handlers of the torture run; for the processes it starts."""

from __future__ import annotations

from timerproject.settings import *  # noqa: F403
from timerproject.settings import INSTALLED_APPS, STORAGES

INSTALLED_APPS = [*INSTALLED_APPS, "tests.torture.app"]
STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
