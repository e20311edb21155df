"""What the admin shows is registered by the URLconf, and passes Django's checks of it."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import import_module

import pytest
from django.conf import settings
from django.contrib import admin
from django.contrib.admin import ModelAdmin

import_module(settings.ROOT_URLCONF)

WORKERS_IMPORTS = """
import sys
import django
django.setup()
import timers.worker.child
print([name for name in sys.modules if name.startswith(("timers.admin", "timers.api", "timers.console"))])
"""


@pytest.mark.parametrize("shown", admin.site._registry.values(), ids=str)
def test_every_registered_model_passes_the_checks_of_the_admin(shown: ModelAdmin) -> None:
    assert shown.check() == []


def test_a_worker_imports_no_pages() -> None:
    """A node starts three processes on a small machine; what only web processes need costs each of them time."""
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": settings.SETTINGS_MODULE}
    done = subprocess.run(
        [sys.executable, "-c", WORKERS_IMPORTS], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
