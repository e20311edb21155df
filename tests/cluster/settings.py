"""The project's settings with the handlers of these tests installed; for the nodes they start."""

from __future__ import annotations

from timerproject.settings import *  # noqa: F403
from timerproject.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "tests.cluster.app"]
