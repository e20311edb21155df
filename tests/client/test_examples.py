"""The programs that show the client at work do what they say, against the real service."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest
from django.conf import settings

from timers.models import Attempt, Timer

EXAMPLES = settings.BASE_DIR / "clients/python/examples"


@pytest.mark.django_db(transaction=True)
def test_what_was_put_aside_is_shown_again_until_it_can_be_processed(live_server: Any, key: str) -> None:
    environment = {
        **os.environ,
        "TIMER_SERVICE_URL": live_server.url,
        "TIMER_SERVICE_KEY": key,
        "PYTHONPATH": str(settings.BASE_DIR / "clients/python/src"),
    }
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / "put_aside.py"), "--records", "2", "--period", "0.3"],
        env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    said = done.stdout.splitlines()
    for number in (0, 1):
        assert sum(f"record {number} is locked" in line for line in said) == 1
        tries = [line.partition("try ")[2] for line in said if line.startswith(f"B: record {number},")]
        assert tries == ["1: still locked, put aside again", "2: still locked, put aside again", "3: processed"]
    assert said[-1] == "Left to do: 0"
    assert Attempt.objects.filter(outcome="succeeded").count() == 2
    assert not Timer.objects.filter(state="active").exists()
