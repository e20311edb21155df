"""The project's settings on the tests' own database; pytest reads these before anything else."""

from __future__ import annotations

import os
from pathlib import Path

if "TIMER_TEST_RUN" not in os.environ:  # the processes of a parallel run inherit what the first one prepared
    os.environ["TIMER_TEST_RUN"] = str(os.getpid())
    os.environ["TIMERS_VAR"] = str(Path(os.environ.get("TIMERS_VAR") or "var") / "test")
    os.environ["SECRET_KEY"] = "only for tests"
    # The tests start thousands of processes: each would compile the project's modules anew, half a second of work.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    # What a developer has set for himself must not change what is tested.
    for name in list(os.environ):
        if (name.startswith("TIMERS_") and name not in {"TIMERS_VAR", "TIMERS_PG_BIN"}) or name in {
            "DEBUG", "ALLOWED_HOSTS", "HTTPS", "CSRF_TRUSTED_ORIGINS", "TIME_ZONE", "LOG_LEVEL", "EXTRA_APPS",
        }:  # fmt: skip
            del os.environ[name]

from timerproject.settings import *  # noqa: F403
from timerproject.settings import DATABASES, STORAGES

# Each run has databases of its own, so that several runs in one checkout do not meet.
DATABASES["default"]["TEST"] = {"NAME": f"test_timers_{os.environ['TIMER_TEST_RUN']}"}
STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
