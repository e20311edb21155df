"""The project's settings with the handlers of these tests installed; for the nodes and web servers they start."""

from __future__ import annotations

from timerproject.settings import *  # noqa: F403
from timerproject.settings import INSTALLED_APPS, STORAGES

INSTALLED_APPS = [*INSTALLED_APPS, "tests.cluster.app"]
STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
