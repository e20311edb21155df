from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

from timers.conf.forms import encryption_keys

OURS = ("TIMER", "DJANGO_", "SECRET_KEY", "DATABASE_URL", "ALLOWED_HOSTS", "DEBUG", "HTTPS", "EXTRA_APPS", "PYTEST")
PRODUCTION = {"SECRET_KEY": "k", "DATABASE_URL": "postgresql://h/d"}


def read(expression: str, **environment: str) -> str:
    """What a fresh process finds in the settings; its error text if it does not start."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    code = f"from timerproject import settings as s; print({expression})"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        env=clean | environment, cwd=settings.BASE_DIR, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return (done.stdout or done.stderr.splitlines()[-1]).strip()


def test_without_an_address_the_embedded_database_is_used_and_nothing_is_started(tmp_path: Path) -> None:
    host = read("s.DATABASES['default']['HOST']", TIMERS_VAR=str(tmp_path / "v"))
    assert host == str(tmp_path / "v/run")
    assert sorted(path.name for path in (tmp_path / "v").iterdir()) == ["encryption_key", "secret_key"]


def test_the_secret_key_is_made_once_and_for_this_user_alone(tmp_path: Path) -> None:
    first, second = (read("s.SECRET_KEY", TIMERS_VAR=str(tmp_path)) for _ in range(2))
    assert first == second
    assert len(first) >= 50
    assert stat.S_IMODE((tmp_path / "secret_key").stat().st_mode) == 0o600


def test_the_encryption_key_of_the_embedded_database_is_made_once_too(tmp_path: Path) -> None:
    name = "s.TIMERS.get('ENCRYPTION_KEYS')"
    first, second = (read(name, TIMERS_VAR=str(tmp_path)) for _ in range(2))
    assert first == second
    assert list(encryption_keys(first)) == ["first"]
    assert stat.S_IMODE((tmp_path / "encryption_key").stat().st_mode) == 0o600
    assert read(name, **PRODUCTION) == "None"


def test_a_database_of_ones_own_needs_a_secret_key_of_ones_own() -> None:
    answer = read("1", DATABASE_URL="postgresql://u@h/d")
    assert "SECRET_KEY is needed when DATABASE_URL is set" in answer


def test_a_percent_encoded_socket_folder_is_decoded() -> None:
    answer = read("s.DATABASES['default']['HOST']", DATABASE_URL="postgresql://u@%2Frun%2Fpg/d", SECRET_KEY="k")
    assert answer == "/run/pg"


@pytest.mark.parametrize("url", ["nonsense", "sqlite:///x", "postgresql://h:port/d", "postgresql://h"])
def test_another_kind_of_database_is_refused(url: str) -> None:
    assert "DATABASE_URL must name a PostgreSQL database" in read("1", DATABASE_URL=url, SECRET_KEY="k")


@pytest.mark.parametrize(
    ("given", "https"),
    [
        ({}, "False"),
        ({"ALLOWED_HOSTS": "localhost"}, "False"),
        ({"ALLOWED_HOSTS": "timers.example.org"}, "True"),
        ({"ALLOWED_HOSTS": "timers.example.org", "HTTPS": "no"}, "False"),
    ],
)
def test_what_other_machines_reach_is_served_by_https_unless_said_otherwise(given: dict[str, str], https: str) -> None:
    answer = read("s.SECURE_SSL_REDIRECT, s.SESSION_COOKIE_SECURE", **PRODUCTION, **given)
    assert answer == f"{https} {https}"


@pytest.mark.parametrize(
    ("name", "given"), [("DEBUG", "maybe"), ("HTTPS", "ture"), ("LOG_LEVEL", "loud"), ("TIME_ZONE", "Mars/Base")]
)
def test_a_variable_that_makes_no_sense_stops_the_start(name: str, given: str) -> None:
    answer = read("1", **PRODUCTION, **{name: given})
    assert f"ImproperlyConfigured: {name} must be " in answer
    assert repr(given) in answer


def test_apps_of_ones_own_are_installed_beside_those_of_the_service(tmp_path: Path) -> None:
    (tmp_path / "billing").mkdir()
    apps = read("s.INSTALLED_APPS", **PRODUCTION, EXTRA_APPS="billing, tests", PYTHONPATH=str(tmp_path))
    assert apps.endswith("'billing', 'tests']")
    assert read("s.INSTALLED_APPS", **PRODUCTION).endswith("'django.contrib.staticfiles']")


@pytest.mark.parametrize("app", ["biling", ".billing"])
def test_an_app_that_is_not_there_stops_the_start(app: str) -> None:
    answer = read("1", **PRODUCTION, EXTRA_APPS=f"tests,{app}")
    assert f"ImproperlyConfigured: EXTRA_APPS names {app!r}, which cannot be imported" in answer


@pytest.mark.parametrize(
    "hosts", ["timers.example.org", "localhost,10.0.0.5", "*", ".example.org", "localhost.evil.org"]
)
def test_details_on_errors_are_refused_where_others_can_reach_the_service(hosts: str) -> None:
    answer = read("1", **PRODUCTION, DEBUG="on", ALLOWED_HOSTS=hosts)
    assert "ImproperlyConfigured: DEBUG must be off where others can reach the service: ALLOWED_HOSTS names" in answer
    assert hosts.rpartition(",")[2] in answer
    assert "Set DEBUG=off" in answer
    assert read("s.DEBUG", **PRODUCTION, DEBUG="off", ALLOWED_HOSTS=hosts) == "False"


@pytest.mark.parametrize("hosts", ["localhost,127.0.0.1,[::1]", "timers.localhost,.localhost", "testserver", ""])
def test_details_on_errors_are_there_for_this_machine_alone(hosts: str) -> None:
    assert read("s.DEBUG", **PRODUCTION, DEBUG="on", ALLOWED_HOSTS=hosts) == "True"
    assert read("s.DEBUG", **PRODUCTION, DEBUG="on") == "True"
