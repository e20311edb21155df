"""What the processes of a node load: a start of a node is a start of several interpreters."""

from __future__ import annotations

import subprocess
import sys

LOADED = """
import os, sys
sys.path.insert(0, os.getcwd())
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
import django
django.setup()
import timers.management.commands.runtimerworker
print("aiohttp" in sys.modules)
"""


def test_the_supervisor_loads_no_http_client() -> None:
    ran = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"
